"""The metrics; their rows are `MetricSpec`s in `_specs.py`, which imports the functions."""

from covey.registry import Registry

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
