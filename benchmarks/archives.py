"""The sets of these benchmarks that are not public: archives of images and tables of ready features.

covey reads them when it is told of this file:

    covey bench --include benchmarks/archives.py run benchmarks/experiments/frozen-features.toml --data FOLDER

`DATASETS` has a row for each; a row's place is the file's name in that folder.
"""

import os
import tarfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from covey.bench.datasets import (
    Dataset,
    DatasetSpec,
    Split,
    cache_folder,
    load_half_folder,
    read_classes,
    split_numbered,
)
from covey.errors import DatasetError

_IMAGENET_TERMS = "ImageNet terms, research only"


def unpack(archive: Path, name: str) -> Path:
    """Unpack a tar of images into the cache, once, and return its folder."""
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{name}.{os.getpid()}.part")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise DatasetError(f"{archive} cannot be unpacked: {error}") from error
    temporary.replace(folder)
    return folder


def load_imagenette(archive: Path) -> Dataset:
    """Read Imagenette's validation set from its archive; half of the rows are fitted."""
    folder = unpack(archive, "imagenette")
    return load_half_folder(folder / "val" if (folder / "val").is_dir() else folder, name="imagenette")


def load_cifar10_part(archive: Path) -> Dataset:
    """Read the first 2,000 training images of each class of CIFAR-10 to fit, all test images to score.

    `archive` is that of the test images; ``cifar10-train20k.tar`` lies beside it.
    """
    train = unpack(archive.with_name("cifar10-train20k.tar"), "cifar10-train")
    test = unpack(archive, "cifar10-test")
    fitted, classes = read_classes(train / "train", "cifar10-train", None)
    scored, _ = read_classes(test / "test", "cifar10-test", classes)
    return Dataset(fitted, scored, classes)


def load_table(path: Path) -> Dataset:
    """Read features ``X`` and labels ``y`` from a safetensors file; four fifths of the rows are fitted."""
    try:
        table = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if not {"X", "y"} <= table.keys():
        raise DatasetError(f"{path} holds {', '.join(table) or 'nothing'}; it needs X and y.")
    y = table["y"].astype(np.int64)
    whole = Split(path.stem, y, features=table["X"].astype(np.float32))
    return split_numbered(whole)


def _table(name: str, file: str, n_rows: int, n_classes: int) -> DatasetSpec:
    """Describe a table of ready features."""
    layout = "safetensors with X and y, four fifths to fit"
    terms = "MIT (BGU-CS-VIL/DeepDPM)"
    return DatasetSpec(name, file, load_table, n_rows, n_classes, terms, layout, has_images=False)


DATASETS = (
    DatasetSpec(
        "imagenette",
        "imagenette-val.tar",
        load_imagenette,
        3_925,
        10,
        _IMAGENET_TERMS,
        "a tar of val/<wnid>/: its validation set, half to fit and half to score",
    ),
    DatasetSpec(
        "cifar10-20k",
        "cifar10-test.tar",
        load_cifar10_part,
        30_000,
        10,
        "none stated; Krizhevsky 2009",
        "a tar of test/<class>/, and cifar10-train20k.tar beside it: 2,000 of each class",
    ),
    _table("moco50", "moco-imagenet50-val.safetensors", 2_500, 50),
    _table("umap-usps", "umap-usps.safetensors", 9_298, 10),
    _table("umap-mnist", "umap-mnist.safetensors", 70_000, 10),
)
