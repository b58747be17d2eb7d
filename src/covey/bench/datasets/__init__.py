"""Labeled sets of images in the layouts in which people have them on disk; nothing is downloaded.

`DATASETS` maps names to `DatasetSpec` rows; a loader takes a path and returns a `Dataset`: paths, pixels or features of
the rows to fit and of the rows to score, with labels that only scores ever see. Start reading at `_records.py`.
"""

from covey.bench.datasets._folders import load_half_folder, read_classes
from covey.bench.datasets._imbalance import VARIANTS, make_variant
from covey.bench.datasets._include import include_files
from covey.bench.datasets._packages import cache_folder, split_numbered
from covey.bench.datasets._records import Dataset, DatasetSpec, Split
from covey.bench.datasets._specs import find
from covey.registry import Registry

__all__ = [
    "DATASETS",
    "VARIANTS",
    "Dataset",
    "DatasetSpec",
    "Split",
    "cache_folder",
    "find",
    "include_files",
    "load_half_folder",
    "make_variant",
    "read_classes",
    "split_numbered",
]

_SPECS = "covey.bench.datasets._specs"

DATASETS = Registry(
    "data set",
    "covey.datasets",
    {
        "cifar10": f"{_SPECS}:CIFAR10",
        "cifar20": f"{_SPECS}:CIFAR20",
        "cifar100": f"{_SPECS}:CIFAR100",
        "stl10": f"{_SPECS}:STL10",
        "mnist": f"{_SPECS}:MNIST",
        "fashion-mnist": f"{_SPECS}:FASHION_MNIST",
        "imagenet": f"{_SPECS}:IMAGENET",
        "imagenet-10": f"{_SPECS}:IMAGENET_10",
        "imagenet-dogs": f"{_SPECS}:IMAGENET_DOGS",
        "imagenet-50": f"{_SPECS}:IMAGENET_50",
        "imagenet-100": f"{_SPECS}:IMAGENET_100",
        "imagenet-200": f"{_SPECS}:IMAGENET_200",
        "tiny-imagenet": f"{_SPECS}:TINY_IMAGENET",
        "coco": f"{_SPECS}:COCO",
        "folders": f"{_SPECS}:FOLDERS",
        "parquet": f"{_SPECS}:PARQUET",
        "digits": f"{_SPECS}:DIGITS",
        "mnist-5000": f"{_SPECS}:MNIST_5000",
    },
)
