"""Where arrays and files meet: from a folder to a partition, and from a partition and known labels to scores.

Names and search stand beside the walk: they take a run that is there.
"""

from covey.pipeline._checkpoints import CheckpointFile
from covey.pipeline._cluster import (
    RunResult,
    cluster_folder,
    embed_folder,
    installed_versions,
)
from covey.pipeline._embed import EmbedReport, check_views, embed_images, load_backbones, load_features
from covey.pipeline._evaluate import Evaluation, evaluate_partition, read_labels
from covey.pipeline._evidence import ProjectEvidence, choose_n_clusters, weigh_project
from covey.pipeline._names import NamingReport, folder_vocabulary, name_partition, try_to_name
from covey.pipeline._pixels import IMAGE_SIZE, check_pixel_options
from covey.pipeline._search import SearchHit, SearchResult, search_project
from covey.pipeline._stages import METHOD_PARAMS, check_output, make_estimator, scan_sources

__all__ = [
    "IMAGE_SIZE",
    "METHOD_PARAMS",
    "CheckpointFile",
    "EmbedReport",
    "Evaluation",
    "NamingReport",
    "ProjectEvidence",
    "RunResult",
    "SearchHit",
    "SearchResult",
    "check_output",
    "check_pixel_options",
    "check_views",
    "choose_n_clusters",
    "cluster_folder",
    "embed_folder",
    "embed_images",
    "evaluate_partition",
    "installed_versions",
    "folder_vocabulary",
    "load_backbones",
    "load_features",
    "make_estimator",
    "name_partition",
    "read_labels",
    "scan_sources",
    "search_project",
    "try_to_name",
    "weigh_project",
]
