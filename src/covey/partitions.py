"""From an estimator's labels to what a person sees of a partition (arrays only).

`make_partition` turns a fitted estimator into a `Partition`; `summarize_clusters` describes its clusters.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from covey._arrays import cluster_means, l2_normalize
from covey.types import NOISE, ClusterName, ClusterSummary, Features, FloatArray, IntArray, Partition

__all__ = [
    "N_BORDERLINE",
    "N_REPRESENTATIVES",
    "make_partition",
    "relative_margins",
    "summarize_clusters",
    "takes_pixels",
]

N_REPRESENTATIVES = 12
N_BORDERLINE = 24
MAX_REPRESENTATION_BYTES = 2**30
"""A larger representation is not kept; the run says so."""


def takes_pixels(estimator: Any) -> bool:
    """Tell whether an estimator is fitted on images ``(n, h, w, 3)`` in place of features.

    Parameters
    ----------
    estimator : ClusterMixin
        It says so by scikit-learn's tag ``input_tags.three_d_array``.

    Returns
    -------
    takes_pixels : bool
        False for a method on features.
    """
    return bool(get_tags(estimator).input_tags.three_d_array)


def make_partition(features: Features, estimator: Any, *, method: str, info: Mapping[str, Any]) -> Partition:
    """Bring the labels of a fitted estimator back to the world of ids, the largest cluster first.

    Parameters
    ----------
    features : Features
        The rows that the estimator was fitted on.
    estimator : ClusterMixin
        Fitted; offers `labels_` and, if it can, `probabilities_` and `diagnostics_`.
    method : str
        Its registered name, for the record.
    info : mapping
        JSON-compatible facts to keep beside the estimator's own diagnostics.

    Returns
    -------
    partition : Partition
        Cluster 0 is the largest. Confidence is the probability of the image's cluster where the estimator gives
        probabilities, else the relative margin ``(d2 - d1) / d2`` of the Euclidean distances from its unit row to
        its own and to the next cluster's mean. The representation is what `transform` gives, unless the estimator has
        `cluster_centers_`, where `transform` measures distances, as in scikit-learn, or takes pixels: its features are
        its representation.
    """
    labels = np.asarray(estimator.labels_, dtype=np.int64)
    probabilities = getattr(estimator, "probabilities_", None)
    n_clusters = max(int(getattr(estimator, "n_clusters", 1)), int(labels.max(initial=0)) + 1)
    order = np.argsort(-np.bincount(labels[labels != NOISE], minlength=n_clusters), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(n_clusters)
    labels = np.where(labels != NOISE, rank[labels], NOISE)
    if probabilities is None:
        confidence, second = relative_margins(l2_normalize(features.X), labels, n_clusters)
    else:
        probabilities = np.ascontiguousarray(np.asarray(probabilities, dtype=np.float32)[:, order])
        confidence, second = _top_two(probabilities, labels)
    representation, described = _represent(estimator, features.X)
    return Partition(
        ids=features.ids,
        labels=labels,
        probabilities=probabilities,
        confidence=confidence,
        second_labels=second,
        fingerprint=features.fingerprint,
        method=method,
        params=estimator.get_params(deep=False),
        info={**info, **described, "diagnostics": dict(getattr(estimator, "diagnostics_", {}))},
        representation=representation,
    )


def _represent(estimator: Any, X: FloatArray) -> tuple[FloatArray | None, dict[str, Any]]:
    """Return the representation, if there is one and it is small enough to keep, and what the run says of it."""
    if not hasattr(estimator, "transform") or hasattr(estimator, "cluster_centers_"):
        return None, {}
    if takes_pixels(estimator):  # `X` are what it made of them
        return None, {}
    Z = np.ascontiguousarray(estimator.transform(X), dtype=np.float32)
    is_kept = Z.nbytes <= MAX_REPRESENTATION_BYTES
    return Z if is_kept else None, {"representation": {"n_features": Z.shape[1], "is_kept": is_kept}}


def _top_two(probabilities: FloatArray, labels: IntArray) -> tuple[FloatArray, IntArray]:
    """Return each row's probability for its label and its next best cluster, both of shape (n,)."""
    rows = np.arange(len(labels))
    own = np.where(labels != NOISE, probabilities[rows, labels], 0).astype(np.float32)
    if probabilities.shape[1] == 1:
        return own, np.full(len(labels), NOISE)
    rest = probabilities.copy()
    rest[rows, labels] = -1
    return own, rest.argmax(axis=1).astype(np.int64)


def relative_margins(unit: FloatArray, labels: IntArray, n_clusters: int) -> tuple[FloatArray, IntArray]:
    """Return how much nearer each row is to its own cluster's mean than to the next one's.

    Parameters
    ----------
    unit : ndarray of shape (n, d), dtype float32
        Rows of unit length.
    labels : ndarray of shape (n,), dtype int64
        In [-1, n_clusters); a label without rows takes no part.
    n_clusters : int
        One more than the largest label, at least.

    Returns
    -------
    margins : ndarray of shape (n,), dtype float32
        ``(d2 - d1) / d2`` of the Euclidean distances to its own and to the next mean, in [0, 1]; 0 for `NOISE`.
    second : ndarray of shape (n,), dtype int64
        The next best cluster, -1 if there is only one.
    """
    used = np.bincount(labels[labels != NOISE], minlength=n_clusters) > 0
    if used.sum() < 2:
        return (labels != NOISE).astype(np.float32), np.full(len(labels), NOISE)
    means = cluster_means(unit, labels, n_clusters)
    norms = (unit**2).sum(axis=1)[:, None]
    distances = np.sqrt(np.maximum(norms + (means**2).sum(axis=1) - 2 * unit @ means.T, 0))
    distances[:, ~used] = np.inf
    rows = np.arange(len(labels))
    own = distances[rows, labels]
    distances[rows, labels] = np.inf
    second = distances.argmin(axis=1).astype(np.int64)
    nearest = distances[rows, second]
    # A row may lie nearer to another mean than to its own: its confidence is then 0, not negative.
    margin = np.clip((nearest - own) / np.maximum(nearest, np.finfo(np.float32).tiny), 0, 1)
    return np.where(labels != NOISE, margin, 0).astype(np.float32), second


def summarize_clusters(
    features: Features, partition: Partition, names: Mapping[int, ClusterName] | None = None
) -> list[ClusterSummary]:
    """Describe each cluster that holds an image.

    Parameters
    ----------
    features : Features
        The rows that were clustered, in the order of the partition.
    partition : Partition
        Their assignment.
    names : mapping of int to ClusterName, optional
        Words for the clusters; one without any is called by its number.

    Returns
    -------
    summaries : list of ClusterSummary
        Largest first.
    """
    unit = l2_normalize(features.X)
    labels = partition.labels
    sizes = np.bincount(labels[labels != NOISE])
    centers = l2_normalize(cluster_means(unit, labels, len(sizes)))
    closeness = centers @ centers.T
    np.fill_diagonal(closeness, -np.inf)
    closeness[:, sizes == 0] = -np.inf
    summaries = []
    for label in np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]:
        rows = np.flatnonzero(labels == label)
        cosine = unit[rows] @ centers[label]
        central = rows[np.argsort(-cosine, kind="stable")[:N_REPRESENTATIVES]]
        unsure = rows[np.argsort(partition.confidence[rows], kind="stable")[:N_BORDERLINE]]
        summaries.append(
            ClusterSummary(
                label=int(label),
                name=(names or {}).get(int(label), ClusterName(int(label), f"Cluster {label}", 0.0)),
                size=len(rows),
                mean_confidence=float(partition.confidence[rows].mean()),
                cohesion=float(cosine.mean()),
                nearest_label=int(closeness[label].argmax()) if np.count_nonzero(sizes) > 1 else NOISE,
                representatives=tuple(partition.ids[row] for row in central),
                borderline=tuple(partition.ids[row] for row in unsure),
            )
        )
    return summaries
