"""What a labeled set of images is: rows to fit and rows to score, as paths, as pixels or as features."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from covey.errors import InvalidValueError
from covey.types import ByteArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a data set, in one of three forms, with their classes.

    Attributes
    ----------
    name : str
        Names the rows among all data sets, e.g. ``"cifar10-test"``; files that are computed from them have it in their
        names.
    y : ndarray of shape (n,), dtype int64
        Classes in [0, n_classes). For scores alone.
    paths : tuple of Path or None
        The images as files.
    pixels : ndarray of shape (n, h, w, 3), dtype uint8, or None
        The images in memory.
    features : ndarray of shape (n, d), dtype float32, or None
        Ready features, for a set that comes without its images.

    Raises
    ------
    InvalidValueError
        If there are not as many rows as labels, or not exactly one of the three forms.
    """

    name: str
    y: IntArray
    paths: tuple[Path, ...] | None = None
    pixels: ByteArray | None = None
    features: FloatArray | None = None

    def __post_init__(self) -> None:
        forms = [form for form in (self.paths, self.pixels, self.features) if form is not None]
        if len(forms) != 1 or len(forms[0]) != len(self.y):
            rows = ", ".join(str(len(form)) for form in forms) or "none"
            raise InvalidValueError(
                f"The split {self.name!r} has {len(self.y)} labels and {rows} rows; it needs paths, pixels or "
                "features, one of them, as many as labels."
            )

    def take(self, rows: IntArray) -> "Split":
        """Return the split with these rows, in this order.

        Parameters
        ----------
        rows : ndarray of shape (m,), dtype int64
            Rows of this split, in any order.

        Returns
        -------
        split : Split
            Of the same name.
        """
        return Split(
            self.name,
            self.y[rows],
            paths=None if self.paths is None else tuple(self.paths[row] for row in rows),
            pixels=None if self.pixels is None else self.pixels[rows],
            features=None if self.features is None else self.features[rows],
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labeled set of images.

    Attributes
    ----------
    train : Split
        Rows to fit.
    test : Split
        Rows to score, none of which is in `train`.
    classes : tuple of str
        What the labels stand for.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]


Loader = Callable[[Path], Dataset]


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set that covey can read, and where it expects it.

    Attributes
    ----------
    name : str
        What experiments call it.
    place : str
        File or folder below the data folder where it lies unless an experiment says otherwise; empty if it comes with a
        package.
    loader : callable
        Takes the path of that place and returns a `Dataset`; raises `DatasetError` where it is not as described.
    n_images : int or None
        Images of the published set, both splits; None where it is whatever lies there.
    n_classes : int or None
        Classes of the published set.
    license : str
        Terms of use, in short.
    layout : str
        What must lie at `place`, for people.
    has_images : bool
        False where it comes as features.
    """

    name: str
    place: str
    loader: Loader
    n_images: int | None
    n_classes: int | None
    license: str
    layout: str
    has_images: bool = True


def split_rows(whole: Split, *, share: float) -> tuple[Split, Split]:
    """Split rows at random into those to fit and those to score, with a fixed seed and without a look at the labels.

    Parameters
    ----------
    whole : Split
        All rows.
    share : float
        Of the rows that are fitted, in (0, 1).

    Returns
    -------
    train, test : Split
        Every row is in one of them; both keep the name of `whole`.
    """
    order = np.random.default_rng(0).permutation(len(whole.y))
    fit, score = np.split(order, [round(share * len(order))])
    return whole.take(fit), whole.take(score)
