"""Spectral clustering of the graph of nearest neighbours."""

from typing import Any, ClassVar, Self

from scipy.sparse import csr_array

from covey._arrays import l2_normalize
from covey.cluster._checks import check_choices, check_integer, check_n_clusters, fit_features
from covey.cluster._spectral._graph import Weights, neighbor_affinity
from covey.cluster._spectral._graph_clusterer import GraphClusterer
from covey.neighbors import nearest_neighbors
from covey.types import FloatArray, NeighborGraph


class SpectralClustering(GraphClusterer):
    """Cluster features by the eigenvectors of their graph of nearest neighbours.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_neighbors : int, default=15
        Neighbours of a row in the graph, by cosine; at most n_samples - 1 are used.
    weights : {"self-tuning", "binary"}, default="self-tuning"
        What an edge weighs: by its length, measured in the distances usual around its ends, or 1.
    n_init : int, default=10
        Restarts of k-means on the eigenvectors.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where to search neighbours: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. Eigenvectors come from the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the starts of the eigensolver and of k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    eigenvalues_ : ndarray of shape (n_clusters,), dtype float64
        Smallest eigenvalues of the normalised Laplacian, ascending; fewer if few rows have an edge.
    diagnostics_ : dict
        JSON-compatible: ``n_components``, the parts of the graph (None for one cluster); ``n_rows_outside``, rows that
        were placed as new rows are; ``mean_degree``, edges of a row.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    TEMI : Learns from the same neighbours, and predicts by what it learned.
    KMeans : The same without a graph.

    Notes
    -----
    The algorithm of [1]_ on a symmetric graph of neighbours with the weights of [2]_ or none. A graph that falls apart
    is handled part by part, and a new row gets the vote of its nearest training rows, each weighing one over its
    distance: docs/methods/spectral.md. Cost: the neighbours, O(n² d), and then a few hundred products with a sparse
    matrix of 2 n n_neighbors entries at most; memory O(n (n_neighbors + n_clusters)).

    References
    ----------
    .. [1] A. Y. Ng, M. I. Jordan and Y. Weiss, "On spectral clustering: analysis and an algorithm", NIPS 2001.
    .. [2] L. Zelnik-Manor and P. Perona, "Self-tuning spectral clustering", NIPS 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SpectralClustering
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> labels = SpectralClustering(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    _if_apart: ClassVar = "Raise n_neighbors."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_neighbors: int = 15,
        weights: Weights = "self-tuning",
        n_init: int = 10,
        n_votes: int = 10,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.n_init = n_init
        self.n_votes = n_votes
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None) -> Self:
        """Find the eigenvectors and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            For scikit-learn's contract.
        neighbors : NeighborGraph, default=None
            Neighbours of the rows of `X` by cosine, if they are known already; the nearest `n_neighbors` are used.

        Returns
        -------
        self : SpectralClustering
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, `X` has fewer rows than clusters, or `neighbors` describes other rows.
        ConvergenceError
            If the eigensolver does not converge.

        Warns
        -----
        ConvergenceWarning
            If the graph falls into more parts than clusters.
        """
        rows = l2_normalize(fit_features(self, X))
        check_n_clusters(self.n_clusters, len(rows))
        check_choices(self.get_params(), {"weights": ("self-tuning", "binary")})
        for name in ("n_neighbors", "n_init", "n_votes"):
            check_integer(name, getattr(self, name), minimum=1)
        if len(rows) == 1:
            return self._answer(rows, csr_array((1, 1)))
        return self._answer(rows, neighbor_affinity(self._graph(rows, neighbors), weights=self.weights))

    def _graph(self, rows: FloatArray, neighbors: NeighborGraph | None) -> NeighborGraph:
        """Return the neighbours to use: those of unit rows (n, d), or the nearest of the given ones."""
        n_wanted = min(self.n_neighbors, len(rows) - 1)
        if neighbors is None:
            return nearest_neighbors(rows, n_neighbors=n_wanted, device=self.device)
        if len(neighbors.indices) != len(rows) or neighbors.metric != "cosine":
            raise ValueError(
                f"neighbors has {len(neighbors.indices)} rows and metric {neighbors.metric!r}, X has {len(rows)}; "
                "they must describe the same rows in the same order, by cosine."
            )
        return NeighborGraph(neighbors.indices[:, :n_wanted], neighbors.distances[:, :n_wanted], neighbors.metric)
