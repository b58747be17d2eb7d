"""Spectral clustering: a graph of neighbours, its eigenvectors, and k-means on them.

Start at `_eigenvectors.py`, which takes any sparse affinity; the subspace methods use it too.
"""

from covey.cluster._spectral._eigenvectors import SpectralPartition, spectral_partition
from covey.cluster._spectral._estimator import SpectralClustering
from covey.cluster._spectral._graph import neighbor_affinity
from covey.cluster._spectral._graph_clusterer import GraphClusterer

__all__ = ["GraphClusterer", "SpectralClustering", "SpectralPartition", "neighbor_affinity", "spectral_partition"]
