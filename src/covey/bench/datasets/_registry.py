"""The labeled data sets; their rows are `DatasetSpec`s in `_dataset_specs.py`, which imports the loaders."""

from covey.registry import Registry

_SPECS = "covey.bench.datasets._dataset_specs"

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
