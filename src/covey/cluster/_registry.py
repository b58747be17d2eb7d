"""The clusterers, one row each: what a method takes and gives, without importing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from covey.registry import Registry


@dataclass(frozen=True, slots=True)
class ClustererSpec:
    """What must be known of a clusterer to offer it, to plan a run and to fit it.

    Published settings are the class attribute `presets` of the estimator, where their sources are.

    Attributes
    ----------
    name : str
        What people type.
    target : str
        Its class, ``"module:attribute"``.
    title : str
        What tables and pages call it.
    rows : {"features", "images"}
        What it is fitted on: features (n, d), or images (n, h, w, 3) from whose pixels it learns.
    takes : tuple of str
        Keywords of its `fit` besides `X` and `y`: ``neighbors``, ``views``, ``progress``, ``resume``, ``checkpoint``.
    finds_number : bool
        Whether it finds the number of clusters itself, so that it has no `n_clusters`.
    is_seeded : bool
        Whether its result depends on `random_state`.
    represents : bool
        Whether its `transform` gives a representation in which one can search.
    params : mapping
        Parameters that the pipeline sets beyond the constructor's defaults.
    extra : str
        The extra of covey that brings what it needs; empty if the base installation does.
    """

    name: str
    target: str
    title: str = ""
    rows: Literal["features", "images"] = "features"
    takes: tuple[str, ...] = ()
    finds_number: bool = False
    is_seeded: bool = True
    represents: bool = False
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra: str = ""

    @property
    def takes_views(self) -> bool:
        """Whether it compares features of augmented views."""
        return "views" in self.takes

    @property
    def resumes(self) -> bool:
        """Whether an interrupted training can go on."""
        return {"resume", "checkpoint"} <= set(self.takes)


CLUSTERERS = Registry(
    "clusterer",
    "covey.clusterers",
    [
        ClustererSpec(
            "kmeans",
            "covey.cluster._kmeans:KMeans",
            "k-means",
            takes=("progress",),
            # The direction of a pretrained feature carries what the network knows, its length mostly contrast.
            params={"spherical": True},
        ),
        ClustererSpec(
            "temi",
            "covey.cluster._temi:TEMI",
            "TEMI",
            takes=("neighbors", "progress"),
        ),
        ClustererSpec(
            "scp",
            "covey.cluster._scp:SCP",
            "SCP",
            takes=("views", "neighbors", "progress"),
            represents=True,
        ),
        ClustererSpec("scan", "covey.cluster._scan:SCAN", "SCAN", takes=("neighbors", "progress")),
        ClustererSpec("turtle", "covey.cluster._turtle:TURTLE", "TURTLE", takes=("progress",)),
        ClustererSpec("cpp", "covey.cluster._cpp:CPP", "CPP", takes=("progress",), represents=True),
        ClustererSpec(
            "mmdc",
            "covey.cluster._mmdc:MMDC",
            "MMDC",
            rows="images",
            takes=("resume", "checkpoint", "progress"),
        ),
        ClustererSpec("ssc-omp", "covey.cluster._subspace:SSCOMP", "SSC-OMP", takes=("progress",)),
        ClustererSpec("ensc", "covey.cluster._subspace:EnSC", "EnSC", takes=("progress",)),
        ClustererSpec(
            "spectral",
            "covey.cluster._spectral:SpectralClustering",
            "Spectral clustering",
            takes=("neighbors", "progress"),
        ),
        ClustererSpec(
            "sinkhorn-spectral",
            "covey.cluster._spectral:SinkhornSpectral",
            "Spectral clustering of a Sinkhorn kernel",
            takes=("progress",),
        ),
        ClustererSpec(
            "agglomerative",
            "covey.cluster._classical:Agglomerative",
            "Agglomerative clustering",
            takes=("neighbors", "progress"),
            is_seeded=False,
        ),
        ClustererSpec(
            "gaussian-mixture", "covey.cluster._classical:GaussianMixture", "Gaussian mixture", takes=("progress",)
        ),
        ClustererSpec(
            "hdbscan",
            "covey.cluster._classical:HDBSCAN",
            "HDBSCAN",
            takes=("progress",),
            finds_number=True,
            is_seeded=False,
        ),
        ClustererSpec(
            "umap-kmeans",
            "covey.cluster._classical:UMAPKMeans",
            "UMAP and k-means",
            takes=("neighbors", "progress"),
            extra="umap",
        ),
    ],
    default_spec=ClustererSpec,
)
