"""Metrics that need no ground truth."""

from typing import Any, Literal

import numpy as np
import sklearn
import sklearn.metrics
from numpy.typing import NDArray
from scipy.special import rel_entr

from covey._arrays import check_features, draw_seed
from covey.metrics._contingency import check_clusters
from covey.types import NOISE, FloatArray, IntArray

_WORKING_MEMORY_MIB = 64
"""What scikit-learn may hold of the distances at once; its own default of 1 GiB is too much beside a network."""


def cluster_size_kl(labels_pred: Any, *, n_clusters: int | None = None) -> float:
    """Compute how far cluster sizes are from equal: KL divergence to the uniform distribution, in nats.

    Parameters
    ----------
    labels_pred : array-like of shape (n,), dtype integer
        Cluster labels from -1; rows labeled `NOISE` take no part.
    n_clusters : int, default=None
        How many clusters were asked for, so that empty ones count; None takes those in use.

    Returns
    -------
    divergence : float in [0, log n_clusters]
        0 when all clusters are equally large, log n_clusters when one has everything. Neither end is better by itself.

    Raises
    ------
    ValueError
        If a label does not fit `n_clusters`, or all rows are noise.
    TypeError
        If the labels are not integers.

    Notes
    -----
    KL(p || u) = Σ_c p_c log(p_c / u_c) with p_c the share of cluster c, u_c = 1 / n_clusters and 0 log 0 = 0.

    Examples
    --------
    >>> round(cluster_size_kl([0, 0, 0, 0], n_clusters=2), 4)
    0.6931
    """
    labels = check_clusters(labels_pred)
    sizes = np.bincount(labels[labels != NOISE])
    if len(sizes) == 0:
        raise ValueError("labels_pred holds only noise; there are no cluster sizes.")
    if n_clusters is None:
        n_clusters = int(np.count_nonzero(sizes))
    elif n_clusters < len(sizes):
        raise ValueError(f"labels_pred holds {len(sizes) - 1}, n_clusters is {n_clusters}; labels must be smaller.")
    share = sizes[sizes > 0] / sizes.sum()
    return max(0.0, float(rel_entr(share, 1 / n_clusters).sum()))


def mean_max_probability(probabilities: Any) -> float:
    """Average the largest membership probability of each row.

    Parameters
    ----------
    probabilities : array-like of shape (n, n_clusters), dtype float
        Rows in [0, 1] that sum to 1.

    Returns
    -------
    mean : float in [1 / n_clusters, 1]
        Larger is surer, which is not the same as right: see `expected_calibration_error`.

    Raises
    ------
    ValueError
        If the array is not two-dimensional or empty, or a row is not a distribution (NaN included).

    Examples
    --------
    >>> mean_max_probability([[0.9, 0.1], [0.3, 0.7]])
    0.8
    """
    array = np.asarray(probabilities, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"probabilities has shape {array.shape}; it must be (n, n_clusters) and not empty.")
    bad = ~((array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) < 1e-3))  # NaN compares false
    if bad.any():
        raise ValueError(
            f"probabilities has {int(bad.sum())} rows (first: row {int(bad.argmax())}) that are not "
            "distributions; entries must lie in [0, 1] and sum to 1."
        )
    return float(array.max(axis=1).mean())


def silhouette_samples(
    X: Any, labels_pred: Any, *, metric: Literal["euclidean", "precomputed"] = "euclidean"
) -> NDArray[np.float64]:
    """Compute each row's silhouette: how much nearer its own cluster is than the next one.

    Parameters
    ----------
    X : array-like of shape (n, d), or of shape (n, n) if `metric` is "precomputed", dtype float32
        Features, or the distances between the rows.
    labels_pred : array-like of shape (n,), dtype integer
        Cluster labels from 0 with at least two clusters in use.
    metric : {"euclidean", "precomputed"}, default="euclidean"
        The distance between features; ``"precomputed"`` takes `X` as distances.

    Returns
    -------
    silhouette : ndarray of shape (n,), dtype float64
        (b - a) / max(a, b) in [-1, 1], where a is the mean distance to the other rows of the own cluster and b the
        smallest mean distance to another cluster; 0 for a row alone in its cluster.

    Raises
    ------
    ValueError
        If lengths differ, there is noise, or fewer than two clusters are in use.
    TypeError
        If the labels are not integers or `X` is not numeric.

    Notes
    -----
    Rousseeuw's definition [1]_, computed by scikit-learn in blocks of 64 MiB: O(n² (d + n_clusters)) time, and memory
    that does not grow with n². Departs from scikit-learn where every row is a cluster of its own: by the definition all
    values are 0 then, and it is not an error.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics, 1987.
    """
    features, labels = _check_rows(X, labels_pred)
    if (labels == NOISE).any():
        raise ValueError("labels_pred holds noise; leave those rows out, of X too.")
    n_clusters = len(np.unique(labels))
    if n_clusters < 2:
        raise ValueError("labels_pred has one cluster; a silhouette needs at least two.")
    if n_clusters == len(labels):  # scikit-learn refuses it; by the definition all values are 0
        return np.zeros(len(labels))
    if metric == "euclidean":  # centered, so that squared lengths do not hide small differences between rows
        features = features - features.mean(axis=0, dtype=np.float64)
    with sklearn.config_context(working_memory=_WORKING_MEMORY_MIB):
        return np.asarray(sklearn.metrics.silhouette_samples(features, labels, metric=metric))


def silhouette_score(X: Any, labels_pred: Any, *, max_rows: int | None = 10_000, random_state: Any = 0) -> float:
    """Average the silhouette over the rows, or over a fixed sample of a large set.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features; distances are Euclidean.
    labels_pred : array-like of shape (n,), dtype integer
        Cluster labels from -1; rows labeled `NOISE` are left out.
    max_rows : int or None, default=10000
        A larger set is represented by this many rows drawn without replacement; None takes all.
    random_state : None, int, RandomState or Generator, default=0
        Decides the sample.

    Returns
    -------
    score : float in [-1, 1]
        Larger is better.

    Raises
    ------
    ValueError
        If lengths differ or fewer than two clusters are in use.
    TypeError
        If the labels are not integers or `X` is not numeric.

    See Also
    --------
    silhouette_samples : One value for each row.
    """
    features, labels = _check_rows(X, labels_pred)
    rows = np.flatnonzero(labels != NOISE)
    if max_rows is not None and len(rows) > max_rows:
        generator = np.random.default_rng(draw_seed(random_state))
        rows = np.sort(generator.choice(rows, max_rows, replace=False))
    return float(silhouette_samples(features[rows], labels[rows]).mean())


def _check_rows(X: Any, labels_pred: Any) -> tuple[FloatArray, IntArray]:
    """Return features (n, d) and labels (n,) of the same rows."""
    features, labels = check_features(X), check_clusters(labels_pred)
    if len(features) != len(labels):
        raise ValueError(
            f"labels_pred has {len(labels)} rows, X has {len(features)}; "
            "they must describe the same images in the same order."
        )
    return features, labels
