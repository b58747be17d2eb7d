"""Labels in, one table of counts out: everything that compares two labelings starts here."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from covey.types import NOISE, IntArray


class Contingency(NamedTuple):
    """How often each class meets each cluster.

    Attributes
    ----------
    counts : ndarray of shape (n_classes, n_clusters), dtype int64
        Rows with the class and the cluster; rows labeled `NOISE` are in none.
    classes : ndarray of shape (n_classes,)
        The ground truth's values, sorted: what the rows stand for.
    clusters : ndarray of shape (n_clusters,), dtype int64
        The labels in use, sorted: what the columns stand for.
    class_sizes : ndarray of shape (n_classes,), dtype int64
        Rows of each class, noise included.
    """

    counts: IntArray
    classes: NDArray[Any]
    clusters: IntArray
    class_sizes: IntArray


def contingency_matrix(labels_true: Any, labels_pred: Any) -> Contingency:
    """Count how often each class meets each cluster.

    Parameters
    ----------
    labels_true : array-like of shape (n,), dtype integer or string
        Ground truth; integers are not negative.
    labels_pred : array-like of shape (n,), dtype integer
        Labels from -1; -1 is `NOISE`.

    Returns
    -------
    contingency : Contingency
        The table with the names of its rows and columns.

    Raises
    ------
    ValueError
        If the lengths differ, nothing is there, or a label is negative where it may not be.
    TypeError
        If labels are neither integers nor, for the ground truth, strings.

    Notes
    -----
    One sort for each labeling and one bincount: O(n log n) time, n_classes x n_clusters counts.

    Examples
    --------
    >>> contingency_matrix(["cat", "cat", "dog"], [1, -1, 0]).counts
    array([[0, 1],
           [1, 0]])
    """
    labels_true, labels_pred = check_labels(labels_true, labels_pred)
    classes, rows = np.unique(labels_true, return_inverse=True)
    kept = labels_pred != NOISE
    clusters, columns = np.unique(labels_pred[kept], return_inverse=True)
    shape = (len(classes), len(clusters))
    counts = np.bincount(rows[kept] * len(clusters) + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return Contingency(counts.astype(np.int64), classes, clusters, np.bincount(rows).astype(np.int64))


def check_labels(labels_true: Any, labels_pred: Any) -> tuple[NDArray[Any], IntArray]:
    """Return two labelings of the same rows as arrays: the ground truth and the clusters."""
    truth = np.asarray(labels_true)
    clusters = check_clusters(labels_pred)
    if truth.ndim != 1:
        raise ValueError(f"labels_true has shape {truth.shape}; labels must be one-dimensional.")
    if len(truth) != len(clusters):
        raise ValueError(
            f"labels_true has {len(truth)} rows, labels_pred has {len(clusters)}; "
            "they must describe the same images in the same order."
        )
    if truth.dtype.kind == "O" and all(isinstance(label, str) for label in truth):
        truth = truth.astype(str)
    if truth.dtype.kind not in "iubU":
        raise TypeError(f"labels_true has dtype {truth.dtype}; ground truth must be integers or strings.")
    if truth.dtype.kind == "i" and truth.min() < 0:
        raise ValueError(
            f"labels_true holds {truth.min()}; classes are not negative: leave out the rows whose class is not known."
        )
    return truth, clusters


def check_clusters(labels: Any, *, name: str = "labels_pred") -> IntArray:
    """Return cluster labels as int64; only -1 may be negative."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; labels must be one-dimensional.")
    if len(array) == 0:
        raise ValueError(f"{name} is empty; at least one row is needed.")
    if array.dtype.kind not in "iub":
        raise TypeError(f"{name} has dtype {array.dtype}; cluster labels must be integers: try .astype(int).")
    if array.dtype.kind == "i" and array.min() < NOISE:
        raise ValueError(f"{name} holds {array.min()}; labels start at 0, and {NOISE} alone means noise.")
    return array.astype(np.int64, copy=False)


def match_clusters(contingency: Contingency) -> tuple[IntArray, IntArray]:
    """Pair classes and clusters one to one so that most rows agree.

    Parameters
    ----------
    contingency : Contingency
        From `contingency_matrix`.

    Returns
    -------
    rows, columns : ndarray of shape (min(n_classes, n_clusters),), dtype int64
        Row ``rows[i]`` of the table is paired with column ``columns[i]``.

    Notes
    -----
    The Hungarian method on the rectangular table [1]_: no padding, so surplus classes or clusters stay unpaired.
    Among the pairings with the most agreeing rows, the one with the best mean accuracy per class is taken: a second
    term that sums to less than one row. So `macro_accuracy` does not depend on how clusters are numbered.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly, 1955.
    """
    counts = contingency.counts
    share = counts / contingency.class_sizes[:, None]  # of its class, in [0, 1]
    rows, columns = linear_sum_assignment(counts + share / (len(counts) + 1), maximize=True)
    return rows.astype(np.int64), columns.astype(np.int64)
