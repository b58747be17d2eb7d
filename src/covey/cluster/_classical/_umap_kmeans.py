"""k-means in the few dimensions of UMAP."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import draw_seed, l2_normalize
from covey.cluster._checks import check_integer, check_n_clusters, check_real, fit_features
from covey.cluster._kmeans import KMeans
from covey.cluster._votes import VotingClusterer
from covey.neighbors import nearest_neighbors
from covey.registry import require
from covey.types import FloatArray, NeighborGraph


class UMAPKMeans(VotingClusterer):
    """Cluster features by k-means after UMAP has drawn them together; needs the extra ``umap``.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_neighbors : int, default=10
        Neighbours of a row by cosine, itself included; at least 2, and at most n_samples are used.
    n_dimensions : int, default=3
        Dimensions of the projection.
    min_dist : float in [0, 1], default=0.0
        How close rows may lie in the projection; 0 draws groups together.
    n_epochs : int or None, default=None
        Passes over the edges; None leaves it to UMAP: 500, or 200 for more than 10,000 rows.
    n_init : int, default=10
        Restarts of k-means.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where neighbours are searched and k-means runs: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Decides the projection and the starts of k-means. UMAP uses one thread so that a seed gives the same again.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    projection_ : ndarray of shape (n_samples, n_dimensions), dtype float32
        Where the rows lie after UMAP; unit rows where there are too few to project, 2 more than `n_dimensions`.
    diagnostics_ : dict
        JSON-compatible: what `KMeans` tells, in the projection; ``is_projected``; ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SpectralClustering : The same graph without the projection.

    Notes
    -----
    [1]_, by umap-learn, on exact neighbours. A new row gets the vote of its nearest training rows, in the features and
    not in the projection. Distances between groups mean little after UMAP, and a group may be torn.

    References
    ----------
    .. [1] L. McInnes, J. Healy and J. Melville, "UMAP: uniform manifold approximation and projection for dimension
       reduction", 2018, arXiv:1802.03426.
    """

    _if_collapsed: ClassVar = "X has equal rows: ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_neighbors: int = 10,
        n_dimensions: int = 3,
        min_dist: float = 0.0,
        n_epochs: int | None = None,
        n_init: int = 10,
        n_votes: int = 10,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_dimensions = n_dimensions
        self.min_dist = min_dist
        self.n_epochs = n_epochs
        self.n_init = n_init
        self.n_votes = n_votes
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None) -> Self:
        """Project the rows, cluster the projection, and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            For scikit-learn's contract.
        neighbors : NeighborGraph, default=None
            Neighbours of the rows of `X` by cosine, if they are known already; the nearest are used.

        Returns
        -------
        self : UMAPKMeans
            Fitted.

        Raises
        ------
        MissingExtraError
            If umap-learn is not installed.
        ValueError
            If a parameter is out of range, `X` has fewer rows than clusters, or `neighbors` describes other rows.

        Warns
        -----
        ConvergenceWarning
            If equal rows leave fewer clusters than were asked for.
        """
        rows = l2_normalize(fit_features(self, X))
        n_clusters = check_n_clusters(self.n_clusters, len(rows))
        self._check_parameters()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # that TensorFlow is missing, which is not wanted here
            umap = require("umap", extra="umap", for_="method 'umap-kmeans'")
        seed = draw_seed(self.random_state)
        is_projected = len(rows) > self.n_dimensions + 1
        projection = self._project(umap, rows, neighbors, seed) if is_projected else rows
        kmeans = KMeans(n_clusters, n_init=self.n_init, device=self.device, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below, of the rows themselves
            kmeans.fit(projection)
        self._keep(rows, kmeans.labels_)
        self.projection_ = projection
        n_found = len(np.unique(self.labels_))
        self.diagnostics_ = {
            **kmeans.diagnostics_,
            "is_projected": is_projected,
            "n_empty_clusters": n_clusters - n_found,
        }
        if n_found < n_clusters:
            warnings.warn(
                f"{n_found} clusters were found, fewer than n_clusters={n_clusters}. {self._if_collapsed}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _check_parameters(self) -> None:
        check_integer("n_neighbors", self.n_neighbors, minimum=2)
        for name in ("n_dimensions", "n_init", "n_votes"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.n_epochs is not None:
            check_integer("n_epochs", self.n_epochs, minimum=1)
        check_real("min_dist", self.min_dist, high=1.0)

    def _project(self, umap: Any, rows: FloatArray, neighbors: NeighborGraph | None, seed: int) -> FloatArray:
        """Return the projection (n, n_dimensions) of unit rows (n, d)."""
        n_others = min(self.n_neighbors, len(rows)) - 1
        graph = neighbors or nearest_neighbors(rows, n_neighbors=n_others, device=self.device)
        if len(graph.indices) != len(rows) or graph.metric != "cosine":
            raise ValueError(
                f"neighbors has {len(graph.indices)} rows and metric {graph.metric!r}, X has {len(rows)}; "
                "they must describe the same rows in the same order, by cosine."
            )
        own = np.arange(len(rows))[:, None]
        indices = np.hstack([own, graph.indices[:, :n_others]])
        distances = np.hstack([np.zeros(own.shape, dtype=np.float32), graph.distances[:, :n_others]])
        method = umap.UMAP(
            n_neighbors=indices.shape[1],
            n_components=self.n_dimensions,
            min_dist=self.min_dist,
            n_epochs=self.n_epochs,
            metric="cosine",
            precomputed_knn=(indices, distances, None),
            random_state=seed,
            n_jobs=1,
        )
        with warnings.catch_warnings():
            # That new rows cannot be transformed, and that a graph in parts is placed part by part.
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(method.fit_transform(rows), dtype=np.float32)
