"""Where arrays and files meet: from a folder to a partition, and from a partition and known labels to scores.

Names and search stand beside the walk: they take a run that is there.
"""

from covey.pipeline._cluster_folder import RunResult, cluster_folder, embed_folder, installed_versions, run_plan
from covey.pipeline._embed_images import EmbedReport, embed_images, load_backbones, load_features
from covey.pipeline._evaluate import Evaluation, KnownLabels, evaluate_partition, read_label_table, read_labels
from covey.pipeline._evidence import ProjectEvidence, choose_n_clusters, weigh_project
from covey.pipeline._names import NamingReport, folder_vocabulary, name_partition, try_to_name
from covey.pipeline._run_plan import RunPlan, check_n_clusters, make_estimator, plan_run
from covey.pipeline._search import SearchHit, SearchResult, search_project
from covey.pipeline._stages import scan_sources
from covey.pipeline._training_checkpoints import CheckpointFile

__all__ = [
    "CheckpointFile",
    "EmbedReport",
    "Evaluation",
    "KnownLabels",
    "NamingReport",
    "ProjectEvidence",
    "RunPlan",
    "RunResult",
    "SearchHit",
    "SearchResult",
    "check_n_clusters",
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
    "plan_run",
    "read_label_table",
    "read_labels",
    "run_plan",
    "scan_sources",
    "search_project",
    "try_to_name",
    "weigh_project",
]
