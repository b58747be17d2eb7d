"""How good is a partition? Functions of labels, of probabilities or of features, each returning numbers.

*External* metrics compare with ground truth, *internal* ones need none. `METRICS` maps names to `MetricSpec` rows,
which say what a function needs and which way is better; commands, tables and tests read them. Everything is NumPy:
this room never imports torch. Start reading at `_contingency.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.metrics._contingency import Contingency, contingency_matrix, match_clusters
    from covey.metrics._external import (
        adjusted_rand_score,
        clustering_accuracy,
        expected_calibration_error,
        macro_accuracy,
        per_class_accuracy,
        purity,
    )
    from covey.metrics._information import adjusted_mutual_info_score, entropy, normalized_mutual_info_score
    from covey.metrics._internal import cluster_size_kl, mean_max_probability, silhouette_samples, silhouette_score
    from covey.metrics._pairs import PairQuality, pair_quality
    from covey.metrics._retrieval import RetrievalScores, retrieval_scores
    from covey.metrics._specs import MetricSpec

__all__ = [
    "METRICS",
    "MetricSpec",
    "Contingency",
    "contingency_matrix",
    "match_clusters",
    "clustering_accuracy",
    "macro_accuracy",
    "per_class_accuracy",
    "purity",
    "normalized_mutual_info_score",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "expected_calibration_error",
    "entropy",
    "cluster_size_kl",
    "mean_max_probability",
    "silhouette_samples",
    "silhouette_score",
    "PairQuality",
    "pair_quality",
    "RetrievalScores",
    "retrieval_scores",
]

METRICS = Registry(
    "metric",
    "covey.metrics",
    {
        "clustering_accuracy": "covey.metrics._specs:CLUSTERING_ACCURACY",
        "macro_accuracy": "covey.metrics._specs:MACRO_ACCURACY",
        "purity": "covey.metrics._specs:PURITY",
        "normalized_mutual_info_score": "covey.metrics._specs:NORMALIZED_MUTUAL_INFO",
        "adjusted_mutual_info_score": "covey.metrics._specs:ADJUSTED_MUTUAL_INFO",
        "adjusted_rand_score": "covey.metrics._specs:ADJUSTED_RAND",
        "expected_calibration_error": "covey.metrics._specs:EXPECTED_CALIBRATION_ERROR",
        "cluster_size_kl": "covey.metrics._specs:CLUSTER_SIZE_KL",
        "mean_max_probability": "covey.metrics._specs:MEAN_MAX_PROBABILITY",
        "silhouette_score": "covey.metrics._specs:SILHOUETTE",
    },
)

_HOMES = {
    "_contingency": ("Contingency", "contingency_matrix", "match_clusters"),
    "_external": (
        "adjusted_rand_score",
        "clustering_accuracy",
        "expected_calibration_error",
        "macro_accuracy",
        "per_class_accuracy",
        "purity",
    ),
    "_information": ("adjusted_mutual_info_score", "entropy", "normalized_mutual_info_score"),
    "_internal": ("cluster_size_kl", "mean_max_probability", "silhouette_samples", "silhouette_score"),
    "_pairs": ("PairQuality", "pair_quality"),
    "_retrieval": ("RetrievalScores", "retrieval_scores"),
    "_specs": ("MetricSpec",),
}


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import; whoever only lists the metrics' names does not wait for it.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"covey.metrics.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
