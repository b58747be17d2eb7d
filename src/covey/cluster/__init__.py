"""Clustering estimators on arrays, with scikit-learn's contract; one method, one file.

Nothing here knows what a file is. `CLUSTERERS` maps the names of the command line to the classes, which are imported
when they are asked for, so that listing them costs no import of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.cluster._classical import HDBSCAN, Agglomerative, GaussianMixture, UMAPKMeans
    from covey.cluster._cpp import CPP
    from covey.cluster._kmeans import KMeans
    from covey.cluster._mmdc import MMDC
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
    "select_beta",
]

CLUSTERERS = Registry(
    "clusterer",
    "covey.clusterers",
    {
        "kmeans": "covey.cluster._kmeans:KMeans",
        "temi": "covey.cluster._temi:TEMI",
        "scp": "covey.cluster._scp:SCP",
        "scan": "covey.cluster._scan:SCAN",
        "turtle": "covey.cluster._turtle:TURTLE",
        "cpp": "covey.cluster._cpp:CPP",
        "mmdc": "covey.cluster._mmdc:MMDC",
        "ssc-omp": "covey.cluster._subspace:SSCOMP",
        "ensc": "covey.cluster._subspace:EnSC",
        "spectral": "covey.cluster._spectral:SpectralClustering",
        "sinkhorn-spectral": "covey.cluster._spectral:SinkhornSpectral",
        "agglomerative": "covey.cluster._classical:Agglomerative",
        "gaussian-mixture": "covey.cluster._classical:GaussianMixture",
        "hdbscan": "covey.cluster._classical:HDBSCAN",
        "umap-kmeans": "covey.cluster._classical:UMAPKMeans",
    },
)

_HOME = {
    "KMeans": "covey.cluster._kmeans",
    "TEMI": "covey.cluster._temi",
    "select_beta": "covey.cluster._temi_beta",
    "BetaSweep": "covey.cluster._temi_beta",
    "fine_tune": "covey.cluster._temi_fine_tuning",
    "FineTuned": "covey.cluster._temi_fine_tuning",
    "MMDC": "covey.cluster._mmdc",
    "SCP": "covey.cluster._scp",
    "SCAN": "covey.cluster._scan",
    "TURTLE": "covey.cluster._turtle",
    "TurtleSelection": "covey.cluster._turtle",
    "generalization": "covey.cluster._turtle",
    "select_turtle": "covey.cluster._turtle",
    "CPP": "covey.cluster._cpp",
    "SSCOMP": "covey.cluster._subspace",
    "EnSC": "covey.cluster._subspace",
    "SpectralClustering": "covey.cluster._spectral",
    "SinkhornSpectral": "covey.cluster._spectral",
    "Agglomerative": "covey.cluster._classical",
    "GaussianMixture": "covey.cluster._classical",
    "HDBSCAN": "covey.cluster._classical",
    "UMAPKMeans": "covey.cluster._classical",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
