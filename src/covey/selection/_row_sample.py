"""The rows on which numbers of clusters are tried, and what every criterion asks of them: made once, shared by all."""

import math
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import cluster_means, draw_seed, l2_normalize
from covey.neighbors import nearest_neighbors
from covey.selection._subsamples import subsampled_kmeans
from covey.types import FloatArray, IntArray

MAX_ROWS = 5000
"""A larger set is represented by this many rows, so that the time does not grow with it."""
MAX_COMPONENTS = 50
"""Principal axes in which distances are taken: in more, all distances become alike and silhouettes tell little."""
SHARE = 0.8
"""Of the sample, in each subsample: two of them share about two thirds of all rows."""
N_REPEATS = 7
_N_INIT = 3
_ROUNDING = 1e-12  # of squares: deviations of a millionth
_PAIRED_ROWS = 2000
"""Of the sample, for what compares every row with every other."""


class Partitions(NamedTuple):
    """The labels that a clusterer gave to the rows of each subsample.

    Attributes
    ----------
    inside : ndarray of shape (n_repeats, n_rows), dtype bool
        Which rows each subsample holds.
    labels : ndarray of shape (n_repeats, n_rows), dtype int64
        A row outside has the label of the nearest mean.
    """

    inside: NDArray[np.bool_]
    labels: IntArray


class Sample:
    """Rows on which candidates are tried; whatever is made of them is kept for the next criterion.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_components), dtype float32
        Reduced rows, 3 or more of which at least 2 differ. They are centered and scaled to a mean squared length of 1.
    clusterer : ClusterMixin or None
        Cloned for each fit; takes ``n_clusters`` and, if it draws, ``random_state``. None is k-means of all
        subsamples at once.
    seed : int
        Decides subsamples and fits.
    n_repeats : int
        Subsamples, at least 2.

    Attributes
    ----------
    X, clusterer, seed, n_repeats
        As given, `X` centered and scaled.
    """

    def __init__(self, X: FloatArray, clusterer: Any, seed: int, n_repeats: int = N_REPEATS) -> None:
        centered = X - X.mean(axis=0, dtype=np.float64)
        scale = math.sqrt(float(np.einsum("nd,nd->", centered, centered)) / len(X))
        self.X: FloatArray = np.ascontiguousarray(centered / (scale or 1.0), dtype=np.float32)
        self.clusterer = clusterer
        self.seed = seed
        self.n_repeats = n_repeats
        self._partitions: dict[int, Partitions] = {}
        self._scores: dict[tuple[str, int], Any] = {}

    def partitions(self, n_clusters: int) -> Partitions:
        """Cluster overlapping subsamples; every candidate sees the same ones, but for a few rows if it is very large.

        Each leaves a row out at least, and holds a row more than clusters if there are so many.

        Parameters
        ----------
        n_clusters : int
            The candidate number of clusters.

        Returns
        -------
        partitions : Partitions
            Computed once for each candidate.
        """
        if n_clusters not in self._partitions:
            inside = self._subsamples(n_clusters)
            labels = self._batch(inside, n_clusters) if self.clusterer is None else self._fit(inside, n_clusters)
            self._partitions[n_clusters] = Partitions(inside, labels)
        return self._partitions[n_clusters]

    def recall(self, name: str, n_clusters: int, compute: Callable[[int], Any]) -> Any:
        """Return what was computed under a name for a candidate before, or compute and keep it.

        Parameters
        ----------
        name : str
            Of what is computed.
        n_clusters : int
            The candidate number of clusters.
        compute : callable
            Takes `n_clusters`; called only the first time.

        Returns
        -------
        value : object
            What `compute` returned.
        """
        key = (name, n_clusters)
        if key not in self._scores:
            self._scores[key] = compute(n_clusters)
        return self._scores[key]

    @cached_property
    def paired_rows(self) -> IntArray:
        """Rows (at most 2,000,) that stand for all where every row is compared with every other."""
        order = np.random.default_rng([self.seed, self.n_repeats]).permutation(len(self.X))
        return np.sort(order[:_PAIRED_ROWS])

    @cached_property
    def distances(self) -> FloatArray:
        """Euclidean distances between the paired rows."""
        X = self.X[self.paired_rows].astype(np.float64)
        squares = np.einsum("nd,nd->n", X, X)
        distances: FloatArray = np.sqrt(np.maximum(squares[:, None] + squares - 2 * X @ X.T, 0)).astype(np.float32)
        np.fill_diagonal(distances, 0)
        return distances

    @cached_property
    def eigenvalues(self) -> list[NDArray[np.float64]]:
        """Eigenvalues, ascending, of the normalized Laplacian of the neighbors' graph of each subsample."""
        inside = self._subsamples(2)[:, self.paired_rows]
        return [_laplacian_eigenvalues(self.X[self.paired_rows[kept]]) for kept in inside]

    def _subsamples(self, n_clusters: int) -> NDArray[np.bool_]:
        n = len(self.X)
        size = min(n - 1, max(math.ceil(SHARE * n), n_clusters + 1))
        inside = np.zeros((self.n_repeats, n), dtype=bool)
        for repeat in range(self.n_repeats):
            inside[repeat, np.random.default_rng([self.seed, repeat]).permutation(n)[:size]] = True
        return inside

    def _batch(self, inside: NDArray[np.bool_], n_clusters: int) -> IntArray:
        kept = torch.from_numpy(inside)
        labels = subsampled_kmeans(torch.from_numpy(self.X), kept, n_clusters, n_init=_N_INIT, seed=self.seed)
        found: IntArray = labels.numpy()
        for part, is_in in zip(found, inside, strict=True):
            if not np.isin(part[~is_in], part[is_in]).all():  # the nearest center had lost its rows
                part[~is_in] = _nearest_means(self.X[is_in], part[is_in], self.X[~is_in])
        return found

    def _fit(self, inside: NDArray[np.bool_], n_clusters: int) -> IntArray:
        """Fit the clusterer to each subsample; a row outside gets the label of the nearest mean."""
        labels = np.empty(inside.shape, dtype=np.int64)
        for repeat, kept in enumerate(inside):
            estimator = clone(self.clusterer).set_params(n_clusters=n_clusters)
            if "random_state" in estimator.get_params():
                estimator.set_params(random_state=draw_seed(np.random.default_rng([self.seed, repeat, n_clusters])))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # too many clusters: the scores say so
                found = np.asarray(estimator.fit(self.X[kept]).labels_, dtype=np.int64)
            labels[repeat, kept] = found
            labels[repeat, ~kept] = _nearest_means(self.X[kept], found, self.X[~kept])
        return labels


def draw_rows(X: FloatArray, largest: int, seed: int) -> FloatArray:
    """Return all rows, or a sample in which even the largest candidate finds rows for its clusters."""
    n_rows = max(MAX_ROWS, 2 * largest)
    if len(X) <= n_rows:
        return X
    rows = np.random.default_rng(seed).choice(len(X), n_rows, replace=False)
    return np.asarray(X[np.sort(rows)])


def reduce_rows(X: FloatArray, metric: str, seed: int) -> FloatArray:
    """Return rows in their first principal axes, of unit length before that if the metric is cosine."""
    X = l2_normalize(X) if metric == "cosine" else X
    n_components = min(MAX_COMPONENTS, len(X) - 1)
    if X.shape[1] <= n_components:
        return X
    return np.ascontiguousarray(PCA(n_components, random_state=seed).fit_transform(X), dtype=np.float32)


def is_constant(X: FloatArray, metric: str = "cosine") -> bool:
    """Say whether rows are all equal, up to the rounding of float32.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows.
    metric : {"cosine", "euclidean"}, default="cosine"
        Whether they are scaled to unit length first.

    Returns
    -------
    is_constant : bool
        Then they are one cluster, and there is no number to choose.
    """
    X = l2_normalize(X) if metric == "cosine" else X
    spread = X.var(axis=0, dtype=np.float64).sum()
    return bool(spread <= _ROUNDING * np.square(X, dtype=np.float64).sum(axis=1).mean())


def count_distinct(X: FloatArray, enough: int) -> int:
    """Count the rows that differ from one another, up to `enough`."""
    seen: set[bytes] = set()
    for row in X:
        seen.add((row + 0.0).tobytes())  # -0 is 0
        if len(seen) >= enough:
            break
    return len(seen)


def _nearest_means(X: FloatArray, labels: IntArray, others: FloatArray) -> IntArray:
    """Return the label whose mean is nearest to each of the other rows."""
    known, labels = np.unique(labels, return_inverse=True)
    means = cluster_means(X, labels, len(known))
    return np.asarray(known[(others @ means.T - np.square(means).sum(axis=1) / 2).argmax(axis=1)])


def _laplacian_eigenvalues(X: FloatArray) -> NDArray[np.float64]:
    """Return the eigenvalues of I - D^(-1/2) W D^(-1/2), W being 1 where one of two rows is a neighbor of the other.

    There are log n neighbors, about as few as tie the rows of one cluster together [von Luxburg 2007, section 8].
    """
    n = len(X)
    graph = nearest_neighbors(X, n_neighbors=min(n - 1, max(2, math.ceil(math.log(n)))), metric="euclidean")
    rows = np.repeat(np.arange(n), graph.indices.shape[1])
    directed = csr_array((np.ones(len(rows), dtype=np.float32), (rows, graph.indices.ravel())), shape=(n, n))
    W = torch.from_numpy(directed.maximum(directed.T).toarray())
    shrink = W.sum(dim=1).rsqrt()
    values = 1 - torch.linalg.eigvalsh(shrink[:, None] * W * shrink).flip(0).double()
    return np.asarray(values.clamp(min=0).numpy())
