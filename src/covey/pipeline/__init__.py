"""Where arrays and files meet: from a folder to a partition, and from a partition and known labels to scores.

Names and search stand beside the walk: they take a run that is there.
"""

from covey.pipeline._adopt import AdoptionReport, adopt_run, find_corrected
from covey.pipeline._checkpoints import CheckpointFile
from covey.pipeline._cluster import (
    RunResult,
    cluster_folder,
    embed_folder,
    installed_versions,
)
from covey.pipeline._corrected import Corrected
from covey.pipeline._curate import ProjectCuration, open_curation
from covey.pipeline._editor import EditReport
from covey.pipeline._embed import EmbedReport, check_views, embed_images, load_backbones, load_features
from covey.pipeline._evaluate import Evaluation, evaluate_partition, read_labels
from covey.pipeline._evidence import ProjectEvidence, choose_n_clusters, weigh_project
from covey.pipeline._names import NamingReport, folder_vocabulary, name_partition, try_to_name
from covey.pipeline._pixels import IMAGE_SIZE, check_pixel_options
from covey.pipeline._replay import ReplayReport, replay_edits
from covey.pipeline._search import SearchHit, SearchResult, search_project
from covey.pipeline._stages import METHOD_PARAMS, check_output, make_estimator, scan_sources

__all__ = [
    "IMAGE_SIZE",
    "METHOD_PARAMS",
    "AdoptionReport",
    "CheckpointFile",
    "Corrected",
    "EditReport",
    "EmbedReport",
    "Evaluation",
    "NamingReport",
    "ProjectCuration",
    "ProjectEvidence",
    "ReplayReport",
    "RunResult",
    "SearchHit",
    "SearchResult",
    "adopt_run",
    "check_output",
    "check_pixel_options",
    "check_views",
    "choose_n_clusters",
    "cluster_folder",
    "embed_folder",
    "embed_images",
    "evaluate_partition",
    "find_corrected",
    "folder_vocabulary",
    "installed_versions",
    "load_backbones",
    "load_features",
    "make_estimator",
    "name_partition",
    "open_curation",
    "read_labels",
    "replay_edits",
    "scan_sources",
    "search_project",
    "try_to_name",
    "weigh_project",
]
