"""Variants of a data set whose classes have different sizes, always the same rows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from covey.bench.datasets._dataset import Dataset, Split
from covey.errors import UnknownNameError
from covey.types import IntArray

_SEED = 0


def halve_odd_classes(dataset: Dataset) -> Dataset:
    """Keep half of the rows of every odd class, in both splits: CPP's appendix E.

    Parameters
    ----------
    dataset : Dataset
        Any.

    Returns
    -------
    dataset : Dataset
        Rows in their order.

    Notes
    -----
    Appendix E of arXiv:2306.05272 halves classes 1, 3, ... and shows the confusion "on the validation set" of the
    imbalanced CIFAR-10; so both splits are halved here.
    """

    def halved(split: Split) -> Split:
        sizes = np.bincount(split.y, minlength=len(dataset.classes))
        return _draw(split, np.where(np.arange(len(sizes)) % 2 == 1, sizes // 2, sizes))

    return Dataset(halved(dataset.train), halved(dataset.test), dataset.classes)


def long_tail(dataset: Dataset, *, ratio: float) -> Dataset:
    """Let the sizes of the classes to fit fall geometrically; the rows to score stay as they are.

    Parameters
    ----------
    dataset : Dataset
        Any.
    ratio : float
        How many times larger the first class is than the last, above 1.

    Returns
    -------
    dataset : Dataset
        Class c of K keeps the smallest class's size times ratio^(-c / (K - 1)) rows, at least one.

    Notes
    -----
    The exponential profile of Cui et al., CVPR 2019, arXiv:1901.05555; the scored rows stay balanced, as usual there.
    """
    n_classes = len(dataset.classes)
    largest = int(np.bincount(dataset.train.y, minlength=n_classes).min())
    share = ratio ** -(np.arange(n_classes) / max(n_classes - 1, 1))
    sizes = np.maximum(1, np.round(largest * share)).astype(np.int64)
    return Dataset(_draw(dataset.train, sizes), dataset.test, dataset.classes)


def _draw(split: Split, sizes: IntArray) -> Split:
    """Keep so many rows of each class, drawn with a fixed seed, in their order."""
    rng = np.random.default_rng(_SEED)
    kept = [rng.permutation(np.flatnonzero(split.y == label))[:size] for label, size in enumerate(sizes)]
    return split.take(np.sort(np.concatenate(kept)))


VARIANTS: Final[Mapping[str, Callable[[Dataset], Dataset]]] = MappingProxyType(
    {
        "odd-classes-halved": halve_odd_classes,
        "long-tail-10": lambda dataset: long_tail(dataset, ratio=10),
        "long-tail-100": lambda dataset: long_tail(dataset, ratio=100),
    }
)
"""Functions of a data set by the name that an experiment gives."""


def make_variant(dataset: Dataset, variant: str | None) -> Dataset:
    """Return an imbalanced variant of a data set, or the data set itself.

    Parameters
    ----------
    dataset : Dataset
        As it was published.
    variant : str or None
        A name in `VARIANTS`; None leaves it as it is.

    Returns
    -------
    dataset : Dataset
        The variant.

    Raises
    ------
    UnknownNameError
        If there is no such variant.
    """
    if variant is None:
        return dataset
    if variant not in VARIANTS:
        raise UnknownNameError(f"Unknown variant {variant!r}. There are: {', '.join(VARIANTS)}.")
    return VARIANTS[variant](dataset)
