"""Clustering estimators on arrays, with scikit-learn's contract; one method, one file.

Nothing here knows what a file is. `CLUSTERERS` maps the names of the command line to the classes, and `CLUSTERERS.spec`
to the rows that describe them (`_registry.py`). A class is imported when it is asked for, so that listing them costs no
import of torch.
"""

from typing import TYPE_CHECKING

from covey.cluster._registry import CLUSTERERS, ClustererSpec
from covey.registry import lazy_exports

if TYPE_CHECKING:
    from covey.cluster._classical import HDBSCAN, Agglomerative, GaussianMixture, UMAPKMeans
    from covey.cluster._cpp import CPP
    from covey.cluster._kmeans import KMeans
    from covey.cluster._mmdc import MMDC
    from covey.cluster._parameters import check_parameters
    from covey.cluster._scan import SCAN
    from covey.cluster._scp import SCP
    from covey.cluster._spectral import SinkhornSpectral, SpectralClustering
    from covey.cluster._subspace import SSCOMP, EnSC
    from covey.cluster._temi import TEMI
    from covey.cluster._temi_beta import BetaSweep, select_beta
    from covey.cluster._temi_fine_tuning import FineTuned, fine_tune
    from covey.cluster._turtle import TURTLE, TurtleSelection, generalization, select_turtle

__all__ = [
    "CLUSTERERS",
    "ClustererSpec",
    "MMDC",
    "TURTLE",
    "TurtleSelection",
    "generalization",
    "select_turtle",
    "CPP",
    "SSCOMP",
    "EnSC",
    "SpectralClustering",
    "SinkhornSpectral",
    "Agglomerative",
    "GaussianMixture",
    "HDBSCAN",
    "UMAPKMeans",
    "SCAN",
    "SCP",
    "TEMI",
    "BetaSweep",
    "FineTuned",
    "KMeans",
    "fine_tune",
    "check_parameters",
    "select_beta",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "_parameters": ("check_parameters",),
        "_kmeans": ("KMeans",),
        "_temi": ("TEMI",),
        "_temi_beta": ("BetaSweep", "select_beta"),
        "_temi_fine_tuning": ("FineTuned", "fine_tune"),
        "_scp": ("SCP",),
        "_scan": ("SCAN",),
        "_turtle": ("TURTLE", "TurtleSelection", "generalization", "select_turtle"),
        "_cpp": ("CPP",),
        "_mmdc": ("MMDC",),
        "_subspace": ("SSCOMP", "EnSC"),
        "_spectral": ("SinkhornSpectral", "SpectralClustering"),
        "_classical": ("HDBSCAN", "Agglomerative", "GaussianMixture", "UMAPKMeans"),
    },
)
