"""Spectral clustering: of a graph of neighbours, or of the membership of all rows; eigenvectors, and k-means on them.

Start at `_eigenvectors.py`, which takes any sparse affinity; the subspace methods use it too. `_landmarks.py` takes the
membership, which is dense and never formed; CPP uses it too.
"""

from covey.cluster._spectral._eigenvectors import SpectralPartition, spectral_partition
from covey.cluster._spectral._estimator import SpectralClustering
from covey.cluster._spectral._graph import neighbor_affinity
from covey.cluster._spectral._graph_clusterer import GraphClusterer
from covey.cluster._spectral._landmarks import SpectralLabels, Spectrum, memberships
from covey.cluster._spectral._sinkhorn import SinkhornSpectral

__all__ = [
    "GraphClusterer",
    "SinkhornSpectral",
    "SpectralClustering",
    "SpectralLabels",
    "SpectralPartition",
    "Spectrum",
    "memberships",
    "neighbor_affinity",
    "spectral_partition",
]
