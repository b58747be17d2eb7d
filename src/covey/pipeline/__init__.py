"""Where arrays and files meet: from a folder to a partition, and from a partition and known labels to scores."""

from covey.pipeline._cluster import (
    RunResult,
    cluster_folder,
    embed_folder,
)
from covey.pipeline._evaluate import Evaluation, evaluate_partition, read_labels
from covey.pipeline._stages import METHOD_PARAMS, check_output, embed_images, make_estimator, scan_sources

__all__ = [
    "METHOD_PARAMS",
    "Evaluation",
    "RunResult",
    "check_output",
    "cluster_folder",
    "embed_folder",
    "embed_images",
    "evaluate_partition",
    "make_estimator",
    "read_labels",
    "scan_sources",
]
