"""One row a metric: what it needs, what it can return, which way is better."""

from collections.abc import Callable
from dataclasses import dataclass

from covey.metrics._external import (
    adjusted_rand_score,
    clustering_accuracy,
    expected_calibration_error,
    macro_accuracy,
    purity,
)
from covey.metrics._information import adjusted_mutual_info_score, normalized_mutual_info_score
from covey.metrics._internal import cluster_size_kl, mean_max_probability, silhouette_score


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric and what must be known to use it.

    Attributes
    ----------
    name : str
        The function's name.
    title : str
        Short name for tables, ``"ACC"``.
    function : callable
        Takes what `needs` lists, by these names, and returns a float.
    range : tuple of float
        Smallest and largest possible value.
    larger_is_better : bool or None
        None where neither end is better.
    needs : tuple of str
        Names of its arguments: ``labels_true``, ``labels_pred``, ``probabilities``, ``confidence`` or ``X``.
    is_symmetric : bool
        Whether exchanging ``labels_true`` and ``labels_pred`` leaves the value as it is.
    """

    name: str
    title: str
    function: Callable[..., float]
    range: tuple[float, float]
    larger_is_better: bool | None
    needs: tuple[str, ...]
    is_symmetric: bool = False


_LABELS = ("labels_true", "labels_pred")
_INFINITY = float("inf")

CLUSTERING_ACCURACY = MetricSpec(
    "clustering_accuracy", "ACC", clustering_accuracy, (0.0, 1.0), True, _LABELS, is_symmetric=True
)
MACRO_ACCURACY = MetricSpec("macro_accuracy", "macro ACC", macro_accuracy, (0.0, 1.0), True, _LABELS)
PURITY = MetricSpec("purity", "purity", purity, (0.0, 1.0), True, _LABELS)
NORMALIZED_MUTUAL_INFO = MetricSpec(
    "normalized_mutual_info_score", "NMI", normalized_mutual_info_score, (0.0, 1.0), True, _LABELS, is_symmetric=True
)
ADJUSTED_MUTUAL_INFO = MetricSpec(
    "adjusted_mutual_info_score", "AMI", adjusted_mutual_info_score, (-1.0, 1.0), True, _LABELS, is_symmetric=True
)
ADJUSTED_RAND = MetricSpec(
    "adjusted_rand_score", "ARI", adjusted_rand_score, (-0.5, 1.0), True, _LABELS, is_symmetric=True
)
EXPECTED_CALIBRATION_ERROR = MetricSpec(
    "expected_calibration_error",
    "ECE",
    expected_calibration_error,
    (0.0, 1.0),
    False,
    (*_LABELS, "confidence"),
)
CLUSTER_SIZE_KL = MetricSpec("cluster_size_kl", "size KL", cluster_size_kl, (0.0, _INFINITY), None, ("labels_pred",))
MEAN_MAX_PROBABILITY = MetricSpec(
    "mean_max_probability", "mean p", mean_max_probability, (0.0, 1.0), True, ("probabilities",)
)
SILHOUETTE = MetricSpec("silhouette_score", "silhouette", silhouette_score, (-1.0, 1.0), True, ("X", "labels_pred"))
