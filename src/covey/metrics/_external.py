"""Metrics that compare clusters with ground truth: one number, or one for each class."""

from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from covey.metrics._contingency import check_labels, contingency_matrix, match_clusters
from covey.types import NOISE


def clustering_accuracy(labels_true: Any, labels_pred: Any) -> float:
    """Compute the share of rows that agree under the best one-to-one matching.

    Parameters
    ----------
    labels_true : array-like of shape (n,), dtype integer or string
        Ground truth; integers are not negative.
    labels_pred : array-like of shape (n,), dtype integer
        Cluster labels from -1. Rows labeled `NOISE` (-1) count as wrong.

    Returns
    -------
    accuracy : float in [0, 1]
        Larger is better.

    Raises
    ------
    ValueError, TypeError
        If the labels do not fit together; see `contingency_matrix`.

    See Also
    --------
    purity : Lets several clusters share a class.

    Notes
    -----
    The ACC of the deep-clustering literature. With more clusters than classes, rows of the clusters left over count
    as wrong; with fewer, rows of the classes left over do. No cluster is mapped to its majority class instead.

    Examples
    --------
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, -1])
    0.75
    """
    contingency = contingency_matrix(labels_true, labels_pred)
    return float(contingency.counts[match_clusters(contingency)].sum() / contingency.class_sizes.sum())


def per_class_accuracy(labels_true: Any, labels_pred: Any) -> NDArray[np.float64]:
    """Compute, for each class, the share of its rows that lie in the cluster matched to it.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n,)
        As for `clustering_accuracy`.

    Returns
    -------
    accuracy : ndarray of shape (n_classes,), dtype float64
        In [0, 1], in the order of the sorted classes; 0 for a class that no cluster is matched to.

    Raises
    ------
    ValueError, TypeError
        If the labels do not fit together; see `contingency_matrix`.

    Examples
    --------
    >>> per_class_accuracy(["cat", "cat", "dog"], [0, 1, 1])
    array([0.5, 1. ])
    """
    contingency = contingency_matrix(labels_true, labels_pred)
    rows, columns = match_clusters(contingency)
    accuracy = np.zeros(len(contingency.classes))
    accuracy[rows] = contingency.counts[rows, columns] / contingency.class_sizes[rows]
    return accuracy


def macro_accuracy(labels_true: Any, labels_pred: Any) -> float:
    """Average `per_class_accuracy` over the classes, so that small ones count as much as large ones.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n,)
        As for `clustering_accuracy`.

    Returns
    -------
    accuracy : float in [0, 1]
        Larger is better.

    Raises
    ------
    ValueError, TypeError
        If the labels do not fit together; see `contingency_matrix`.

    Notes
    -----
    The matching is that of `clustering_accuracy`: it makes most rows agree, not this mean largest.

    Examples
    --------
    >>> macro_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    return float(per_class_accuracy(labels_true, labels_pred).mean())


def purity(labels_true: Any, labels_pred: Any) -> float:
    """Compute the share of rows that are of their cluster's most frequent class.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n,)
        As for `clustering_accuracy`; rows labeled `NOISE` count as wrong.

    Returns
    -------
    purity : float in [0, 1]
        Larger is better, and never below `clustering_accuracy`.

    Raises
    ------
    ValueError, TypeError
        If the labels do not fit together; see `contingency_matrix`.

    Notes
    -----
    Also called majority-vote accuracy. It grows with the number of clusters and is 1 when each row is its own, so it
    must never be reported as accuracy.

    Examples
    --------
    >>> purity([0, 0, 1, 1], [0, 1, 2, 2])
    1.0
    """
    contingency = contingency_matrix(labels_true, labels_pred)
    return float(contingency.counts.max(axis=0, initial=0).sum() / contingency.class_sizes.sum())


def adjusted_rand_score(labels_true: Any, labels_pred: Any) -> float:
    """Compute the adjusted Rand index (ARI).

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n,)
        As for `clustering_accuracy`; `NOISE` is one more cluster.

    Returns
    -------
    score : float in [-0.5, 1]
        Larger is better; 0 is the expectation of random labels.

    Raises
    ------
    ValueError, TypeError
        If the labels do not fit together; see `contingency_matrix`.

    Notes
    -----
    Scikit-learn's, after the checks of this package [1]_.

    References
    ----------
    .. [1] L. Hubert and P. Arabie, "Comparing partitions", Journal of Classification, 1985.
    """
    return float(sklearn.metrics.adjusted_rand_score(*check_labels(labels_true, labels_pred)))


def expected_calibration_error(labels_true: Any, labels_pred: Any, confidence: Any, *, n_bins: int = 15) -> float:
    """Compute how far confidence and accuracy lie apart, averaged over bins of confidence.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n,)
        As for `clustering_accuracy`; a row is right if it lies in the cluster matched to its class.
    confidence : array-like of shape (n,), dtype float
        In [0, 1].
    n_bins : int, default=15
        Bins of equal width over [0, 1].

    Returns
    -------
    error : float in [0, 1]
        Smaller is better.

    Raises
    ------
    ValueError
        If lengths differ, `confidence` leaves [0, 1] or holds NaN, or `n_bins` is below 1.
    TypeError
        For labels of a wrong type; see `contingency_matrix`.

    Notes
    -----
    Σ_b |B_b|/n · |acc(B_b) - conf(B_b)|, eq. (3) of [1]_. Depends on the bins: compare only values of equal `n_bins`.

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
    """
    truth, clusters = check_labels(labels_true, labels_pred)
    confidence = _check_confidence(confidence, len(truth))
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; it must be at least 1.")
    contingency = contingency_matrix(truth, clusters)
    rows, columns = match_clusters(contingency)
    class_of = np.full(len(contingency.clusters) + 1, NOISE)  # one more, for labels that are in no column
    class_of[columns] = rows
    row_class = np.searchsorted(contingency.classes, truth)
    column = np.searchsorted(contingency.clusters, clusters)
    is_right = (clusters != NOISE) & (class_of[column] == row_class)
    bins = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(bins, weights=is_right - confidence, minlength=n_bins)  # |B_b| · (acc - conf)
    return float(np.abs(gaps).sum() / len(truth))


def _check_confidence(confidence: Any, n_rows: int) -> NDArray[np.float64]:
    array = np.asarray(confidence, dtype=np.float64)
    if array.shape != (n_rows,):
        raise ValueError(f"confidence has shape {array.shape}, labels_pred has {n_rows} rows; they must match.")
    if not ((array >= 0) & (array <= 1)).all():  # NaN fails both
        raise ValueError("confidence leaves [0, 1] or holds NaN; it must be a probability.")
    return array
