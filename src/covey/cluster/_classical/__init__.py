"""Classical methods that other libraries have, as estimators with covey's contract.

Each file takes care of what such a method needs on features of a thousand dimensions: fewer dimensions, a bound on
memory, labels for new rows, and words when it fails.
"""

from covey.cluster._classical._agglomerative import Agglomerative
from covey.cluster._classical._hdbscan import HDBSCAN
from covey.cluster._classical._mixture import GaussianMixture
from covey.cluster._classical._umap_kmeans import UMAPKMeans

__all__ = ["HDBSCAN", "Agglomerative", "GaussianMixture", "UMAPKMeans"]
