"""k-means: Lloyd's algorithm from greedy k-means++ starts, Euclidean or on the sphere."""

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from covey._arrays import draw_seed, iter_chunks, l2_normalize
from covey._torch import matmul_dtype, resolve_float64_device, to_numpy, to_tensor
from covey.cluster._checks import check_integer, check_n_clusters, check_real, fit_features, predict_features
from covey.cluster._kmeans_assign import Assignment, Points, assign, nearest_center
from covey.cluster._kmeans_plusplus import plus_plus
from covey.types import FloatArray, IntArray

_CHUNK_ROWS = 4096
_SHORTEST, _LONGEST = 1e-15, 1e18
_NARROW = 96
"""Rows of fewer features gain nothing from bfloat16: rounding them costs more doubt than the product saves."""


class _Fit(NamedTuple):
    """One restart's result."""

    centers: Tensor  # (k, d) float32, centred
    nearest: Assignment
    inertia: float
    n_iter: int
    converged: bool


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features around means.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    spherical : bool, default=False
        Whether rows are scaled to unit length and centers too: clusters of directions, for cosine.
    n_init : int, default=10
        Restarts; the one with the smallest inertia is kept.
    max_iter : int, default=300
        Most iterations of a restart.
    tol : float, default=1e-4
        A restart ends when its centers move, in sum of squares, less than this times the mean variance of a feature.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products that find the nearest center first. Doubtful rows are decided exactly in any case.
    device : str, default="auto"
        Where to compute. MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the starts.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features), dtype float32
        Means of the clusters; of unit length if `spherical`.
    labels_ : ndarray of shape (n_samples,), dtype int64
        The nearest center of each row: what `predict` says of it.
    inertia_ : float
        Sum of squared distances to the nearest center, computed in float64 from differences. If `spherical`, of unit
        rows: twice the sum of cosine distances.
    n_iter_ : int
        Iterations of the restart that was kept.
    n_features_in_ : int
        Width of the rows.
    diagnostics_ : dict
        JSON-compatible: ``inertia``, ``n_iter``, ``converged``, and ``inertia_of_restarts``.

    See Also
    --------
    TEMI : Learns the boundary from neighbours instead.

    Notes
    -----
    Lloyd's algorithm [1]_ from greedy k-means++ starts; spherical as in [2]_. Sums are float32 over at most 4,096 rows
    and float64 above. A cluster that loses all rows is placed on the row farthest from its center. Unlike
    scikit-learn's, labels are decided to the last digit whatever the precision, so that `predict` does not hang on how
    many rows it gets. O(n k d) time an iteration; besides `X` memory holds a centred copy, and one in bfloat16 where
    that is used. Speed against faiss and scikit-learn is recorded in benchmarks/kmeans.csv.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
    .. [2] I. S. Dhillon and D. S. Modha, "Concept decompositions for large sparse text data using clustering",
       Machine Learning, 2001.

    Examples
    --------
    >>> KMeans(2, random_state=0).fit_predict([[0.0], [0.1], [5.0], [5.1]]).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        spherical: bool = False,
        n_init: int = 10,
        max_iter: int = 300,
        tol: float = 1e-4,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.spherical = spherical
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the centers and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : Ignored
            For scikit-learn's contract.

        Returns
        -------
        self : KMeans
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If fewer clusters than asked for have a row, as with many equal rows.
        """
        rows = self._place(fit_features(self, X))
        n_clusters = check_n_clusters(self.n_clusters, len(rows))
        n_init = check_integer("n_init", self.n_init, minimum=1)
        check_integer("max_iter", self.max_iter, minimum=1)
        check_real("tol", self.tol)
        device = self._device()
        mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        _check_extent(rows, mean)
        precision = "float32" if self.precision == "auto" and rows.shape[1] < _NARROW else self.precision
        points = Points.prepare(to_tensor(rows - mean, device), matmul_dtype(device, precision))
        origin = to_tensor(-mean, device) if self.spherical else None

        seeds = np.random.default_rng(draw_seed(self.random_state)).integers(2**62, size=n_init).tolist()
        starts = plus_plus(points, n_clusters, seeds)
        variance = float(points.norms.square().sum(dtype=torch.float64)) / rows.size  # mean of the features'; centred
        fits = [
            _lloyd(points, points.rows[indices], labels, origin, max_iter=self.max_iter, tolerance=self.tol * variance)
            for indices, labels in zip(*starts, strict=True)
        ]
        best = min(fits, key=lambda fit: fit.inertia)

        centers = to_numpy(best.centers + to_tensor(mean, device))
        published = to_tensor(centers - mean, device)  # rounded once more; labels and inertia are theirs
        known = best.nearest.after((published - best.centers).norm(dim=1))
        labels = to_numpy(assign(points, published, known).labels)
        if (n_found := len(np.unique(labels))) < n_clusters:
            warnings.warn(
                f"{n_found} distinct clusters were found, fewer than n_clusters={n_clusters}: X may have equal rows. "
                f"Ask for at most {n_found}.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.cluster_centers_ = centers
        self.labels_ = labels
        self.inertia_ = _inertia(rows, centers, labels)
        self.n_iter_ = best.n_iter
        self._mean = mean
        self._n_features_out = n_clusters
        self.diagnostics_ = {
            "inertia": self.inertia_,
            "n_iter": best.n_iter,
            "converged": best.converged,
            "inertia_of_restarts": [fit.inertia for fit in fits],
        }
        return self

    def predict(self, X: Any) -> IntArray:
        """Find the nearest center of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters); for the rows of `fit` equal to `labels_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from that of the fitted rows.
        """
        rows = self._place(predict_features(self, X))
        _check_extent(rows, self._mean, shortest=0)
        device = self._device()
        centers = to_tensor(self.cluster_centers_ - self._mean, device)
        chunks = iter_chunks(len(rows), _CHUNK_ROWS)
        return np.concatenate(
            [to_numpy(nearest_center(to_tensor(rows[c] - self._mean, device), centers).labels) for c in chunks]
        )

    def transform(self, X: Any) -> FloatArray:
        """Measure the distance of each row to each center.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features.

        Returns
        -------
        distances : ndarray of shape (n, n_clusters), dtype float32
            Euclidean; between unit vectors if `spherical`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from that of the fitted rows.
        """
        rows = self._place(predict_features(self, X))
        centers = self.cluster_centers_.astype(np.float64)
        distances = np.empty((len(rows), len(centers)), dtype=np.float32)
        for chunk in iter_chunks(len(rows), _CHUNK_ROWS):
            block = rows[chunk].astype(np.float64)
            squares = (block**2).sum(axis=1)[:, None] - 2 * block @ centers.T + (centers**2).sum(axis=1)
            distances[chunk] = np.sqrt(np.maximum(squares, 0))
        return distances

    def _place(self, X: FloatArray) -> FloatArray:
        return l2_normalize(X) if self.spherical else X

    def _device(self) -> torch.device:
        return resolve_float64_device(self.device)


def _check_extent(rows: FloatArray, mean: FloatArray, *, shortest: float = _SHORTEST) -> None:
    """Raise if squared distances of rows (n, d) from their mean leave float32."""
    with np.errstate(over="ignore"):
        extent = float(np.abs(rows - mean).max()) * rows.shape[1] ** 0.5
    if not (extent == 0 or shortest <= extent <= _LONGEST):
        raise ValueError(
            f"X reaches {extent:.1e} from its mean; squared distances fit into float32 between {_SHORTEST:.0e} and "
            f"{_LONGEST:.0e}. Scale X, to a standard deviation of 1 for one."
        )


def _lloyd(
    points: Points, centers: Tensor, guess: Tensor, origin: Tensor | None, *, max_iter: int, tolerance: float
) -> _Fit:
    """Iterate from `centers` until labels stay, centers stay within `tolerance`, or `max_iter`.

    `guess` are labels to begin with, (n,), right or wrong. `origin` is where the sphere's middle lies after centring;
    None if clusters are not on the sphere.
    """
    k = len(centers)
    nearest = assign(points, centers, Assignment(guess, points.norms * 0))
    sums, counts = cluster_sums(points.rows, nearest.labels, k)
    n_iter, converged = 0, False
    while n_iter < max_iter and not converged:
        n_iter += 1
        nearest, sums, counts = _fill_empty(points.rows, centers, nearest, sums, counts)
        moved = _means(sums, counts, centers, origin)
        shifts = (moved - centers).norm(dim=1)
        centers, old = moved, nearest.labels
        nearest = assign(points, centers, nearest.after(shifts))
        changed = torch.nonzero(nearest.labels != old)[:, 0]
        if 16 * len(changed) < len(old):  # moving the few is quicker than summing all again
            rows = points.rows[changed]
            added, more = cluster_sums(rows, nearest.labels[changed], k)
            removed, fewer = cluster_sums(rows, old[changed], k)
            sums, counts = sums + added - removed, counts + more - fewer
        else:
            sums, counts = cluster_sums(points.rows, nearest.labels, k)
        converged = len(changed) == 0 or float(shifts.square().sum()) <= tolerance
    wide = centers.double()
    inertia = points.norms.double().square().sum() - 2 * (sums * wide).sum() + counts @ wide.square().sum(dim=1)
    return _Fit(centers, nearest, float(inertia), n_iter, converged)


def _means(sums: Tensor, counts: Tensor, centers: Tensor, origin: Tensor | None) -> Tensor:
    """Return the mean of each cluster, of unit length on the sphere; a cluster without direction or rows stays."""
    means = sums / counts.clamp(min=1)[:, None]
    is_moved = counts > 0
    if origin is not None:
        directions = means - origin
        lengths = directions.norm(dim=1)
        is_moved &= lengths > 0
        means = directions / lengths.clamp(min=torch.finfo(torch.float64).tiny)[:, None] + origin
    return torch.where(is_moved[:, None], means.float(), centers)


def cluster_sums(rows: Tensor, labels: Tensor, n_clusters: int) -> tuple[Tensor, Tensor]:
    """Add up the rows of each cluster.

    Parameters
    ----------
    rows : Tensor of shape (n, d), dtype float32
        Rows.
    labels : Tensor of shape (n,), dtype int64
        In [0, n_clusters).
    n_clusters : int
        Number of clusters.

    Returns
    -------
    sums : Tensor of shape (n_clusters, d), dtype float64
        Float32 within a block of rows, float64 between blocks.
    counts : Tensor of shape (n_clusters,), dtype float64
        Rows of each cluster.
    """
    sums = torch.zeros((n_clusters, rows.shape[1]), dtype=torch.float64, device=rows.device)
    for chunk in iter_chunks(len(labels), _CHUNK_ROWS):
        if rows.device.type == "cpu":
            part = torch.zeros(sums.shape).index_add_(0, labels[chunk], rows[chunk])
        else:  # on a GPU the order of index_add_ is not fixed, and with it the last digit
            part = torch.nn.functional.one_hot(labels[chunk], n_clusters).float().T @ rows[chunk]
        sums += part
    return sums, torch.bincount(labels, minlength=n_clusters).double()


def _fill_empty(
    rows: Tensor, centers: Tensor, nearest: Assignment, sums: Tensor, counts: Tensor
) -> tuple[Assignment, Tensor, Tensor]:
    """Give each empty cluster the row that is farthest from its center, of a cluster that keeps another row."""
    empty = torch.nonzero(counts == 0)[:, 0]
    if len(empty) == 0:
        return nearest, sums, counts
    labels, sums, counts = nearest.labels.clone(), sums.clone(), counts.clone()
    far = torch.cat([(rows[c] - centers[labels[c]]).square().sum(dim=1) for c in iter_chunks(len(rows), _CHUNK_ROWS)])
    order = iter(torch.sort(far, descending=True, stable=True).indices.tolist())
    for cluster in empty.tolist():
        row = next((row for row in order if far[row] > 0 and counts[labels[row]] > 1), None)
        if row is None:  # as many clusters as distinct rows already
            break
        sums[labels[row]] -= rows[row]
        counts[labels[row]] -= 1
        sums[cluster], counts[cluster], labels[row] = rows[row].double(), 1, cluster
    return Assignment(labels, nearest.slack * 0), sums, counts


def _inertia(rows: FloatArray, centers: FloatArray, labels: IntArray) -> float:
    """Return the sum of squared distances of rows to the centers of their labels, from float64 differences."""
    total = 0.0
    for chunk in iter_chunks(len(rows), 512):  # a block that stays in the cache
        difference = np.subtract(rows[chunk], centers[labels[chunk]], dtype=np.float64)
        total += float(np.vdot(difference, difference))
    return total
