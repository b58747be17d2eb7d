"""How good is a partition? Functions of labels, of probabilities or of features, each returning numbers.

*External* metrics compare with ground truth, *internal* ones need none. `METRICS` maps names to `MetricSpec` rows,
which say what a function needs and which way is better; commands, tables and tests read them. Everything is NumPy:
this package never imports torch. Start reading at `_contingency.py`.
"""

from typing import TYPE_CHECKING

from covey.metrics._registry import METRICS
from covey.registry import lazy_exports

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
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
    },
)
