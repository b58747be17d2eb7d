"""Floors and ceilings of every table: random labels, k-means, UMAP with k-means, and probes that see the labels.

What is a registered clusterer runs as one; the others are here. They are rows of their own, never methods.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from covey.bench._experiment import Method
from covey.types import FloatArray, IntArray

RANDOM: Final = "random"
LINEAR: Final = "linear-probe"
NEAREST: Final = "knn-probe"

FLOORS: Final = (
    Method(RANDOM),
    Method("kmeans"),
    Method("kmeans", changes={"spherical": False}),
    Method("umap-kmeans"),
)
CEILINGS: Final = (Method(LINEAR), Method(NEAREST))
REFERENCES: Final[Mapping[str, tuple[Method, ...]]] = MappingProxyType(
    {
        RANDOM: FLOORS[:1],
        "kmeans": FLOORS[1:3],
        "umap-kmeans": FLOORS[3:],
        LINEAR: CEILINGS[:1],
        NEAREST: CEILINGS[1:],
    }
)
"""What a file's ``references`` can name."""

PROBES: Final = tuple(method.name for method in CEILINGS)
"""These are given the classes of the rows to fit; everything else never sees a label."""


class RandomLabels:
    """Give each row a cluster at random: what a score is worth that knows nothing.

    Parameters
    ----------
    n_clusters : int
        Clusters, all equally likely.
    random_state : int
        Seed.

    Attributes
    ----------
    labels_ : ndarray of shape (n,), dtype int64
        Of the rows that were fitted.
    """

    labels_: IntArray

    def __init__(self, n_clusters: int, random_state: int) -> None:
        self.n_clusters = n_clusters
        self._rng = np.random.default_rng(random_state)

    def fit(self, X: FloatArray) -> "RandomLabels":
        """Draw the labels of the rows of `X`, whose values are ignored."""
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: FloatArray) -> IntArray:
        """Draw labels for other rows, new ones with each call."""
        return self._rng.integers(self.n_clusters, size=len(X))
