"""Classical methods that scikit-learn, SciPy and umap-learn have, as estimators with covey's contract.

Each adds what such a method needs on features of a thousand dimensions: fewer dimensions, a bound on memory, labels
for new rows, and messages when it fails.

References
----------
.. [1] R. J. G. B. Campello, D. Moulavi and J. Sander, "Density-based clustering based on hierarchical density
   estimates", PAKDD 2013.
.. [2] L. McInnes, J. Healy and J. Melville, "UMAP: uniform manifold approximation and projection for dimension
   reduction", 2018, arXiv:1802.03426.
"""

import warnings
from collections.abc import Iterator
from dataclasses import KW_ONLY
from typing import Any, ClassVar, Literal, Self

import numpy as np
import sklearn.cluster
import sklearn.mixture
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage as merge_all
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from covey._arrays import draw_seed, iter_chunks, l2_normalize
from covey._torch import resolve_float64_device, to_numpy, to_tensor
from covey.cluster._base import ProbabilisticClusterer, check_n_clusters
from covey.cluster._kmeans import KMeans
from covey.cluster._parameters import choice, flag, free, integer, parameters, real
from covey.cluster._preparation import principal_components
from covey.cluster._training import collect_predictions, warn_if_collapsed
from covey.cluster._voting import VotingClusterer
from covey.neighbors import nearest_neighbors
from covey.registry import require
from covey.types import NOISE, FloatArray, IntArray, NeighborGraph, Progress

Linkage = Literal["ward", "average", "complete"]
Covariance = Literal["full", "tied", "diagonal", "spherical"]
Selection = Literal["eom", "leaf"]

_BLOCK_ENTRIES = 2**24
_CHUNK_ROWS = 4096
_SMALLEST_CLUSTER = 5
_SHARE_OF_SMALLEST = 100
_THEIR_WORDS = {"diagonal": "diag"}


@parameters
class Agglomerative(VotingClusterer):
    """Cluster features by merging the two closest groups again and again.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K, at which merging ends.
    linkage : {"ward", "average", "complete"}, default="ward"
        Distance between two groups: what their merger adds to the sum of squares, the mean distance of their rows, or
        the largest one.
    n_neighbors : int or None, default=None
        None: any two groups may merge. A number: only groups that are joined in the graph of so many nearest
        neighbors, which needs memory for the graph alone.
    max_rows : int, default=20000
        Most rows for which all distances are held, at 8 n² bytes with the copy that merging works on: 3.2 GB for
        20,000. With more, `fit` asks for `n_neighbors`.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where distances are computed: ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by
        the CPU. Merging runs on the CPU.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    diagnostics_ : dict
        JSON-compatible: ``last_merge`` and ``next_merge``, the distance of the groups that merged last and of those
        that would merge next, None where a graph was used or there is none; ``n_parts`` of the graph before it was
        connected, None without one; ``n_empty_clusters``, which only equal rows cause.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SpectralClustering : Cuts the graph of neighbors instead.

    Notes
    -----
    Distances are Euclidean between unit rows, in float64. All pairs: SciPy's chain of nearest neighbors, O(n²) time
    after O(n² n_features) for the distances. Along a graph: scikit-learn's heap of edges; a graph in several parts is
    connected by the shortest edge from each part to the others, round after round. Nothing is drawn, so there is no
    seed. A new row gets the vote of its nearest training rows.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import Agglomerative
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> labels = Agglomerative(n_clusters=2).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(8)
    _: KW_ONLY
    linkage: Linkage = choice("ward", ("ward", "average", "complete"))
    n_neighbors: int | None = integer(None, optional=True)
    max_rows: int = integer(20_000)
    n_votes: int = integer(10)
    device: str = free("auto")

    def fit(
        self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None, progress: Progress | None = None
    ) -> Self:
        """Merge rows to clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            See the glossary.
        neighbors : NeighborGraph, default=None
            Neighbors of the rows of `X`, if they are known already; the nearest `n_neighbors` are used. Ignored if
            `n_neighbors` is None.
        progress : Progress, default=None
            Not called: merging is one step.

        Returns
        -------
        self : Agglomerative
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        TypeError, ValueError
            If a parameter is not allowed, `X` has fewer rows than clusters, or more than `max_rows` without
            `n_neighbors`, or `neighbors` describes other rows.

        Warns
        -----
        ConvergenceWarning
            If equal rows leave fewer clusters than were asked for.
        """
        return self._fit_whole(X, neighbors=neighbors)

    def _fit(self, X: FloatArray, *, neighbors: NeighborGraph | None = None) -> None:
        rows = l2_normalize(X)
        n_clusters = check_n_clusters(self.n_clusters, len(rows))
        details: dict[str, Any] = {"last_merge": None, "next_merge": None, "n_parts": None}
        if len(rows) == 1:
            labels = np.zeros(1, dtype=np.int64)
        elif self.n_neighbors is None:
            labels, details["last_merge"], details["next_merge"] = self._merge_all(rows, n_clusters)
        else:
            labels, details["n_parts"] = self._merge_along(rows, n_clusters, neighbors)
        self._keep(rows, labels)
        self.diagnostics_ = {**details, "n_empty_clusters": _count_missing(self.labels_, n_clusters)}

    def _merge_all(self, rows: FloatArray, n_clusters: int) -> tuple[IntArray, float | None, float | None]:
        """Merge any two groups of unit rows (n, d); also return the last distance and the next."""
        n = len(rows)
        if n > self.max_rows:
            raise ValueError(
                f"X has {n} rows, more than max_rows={self.max_rows}: all their distances would take "
                f"{8 * n**2 / 1e9:.1f} GB. Give n_neighbors, e.g. 15, to merge along a graph instead, or raise "
                "max_rows."
            )
        merges = merge_all(pair_distances(rows, device=self.device), method=self.linkage)  # (n - 1, 4), ascending
        n_merges = n - n_clusters
        last, following = (float(merges[i, 2]) if 0 <= i < n - 1 else None for i in (n_merges - 1, n_merges))
        return cut_merges(merges, n_clusters), last, following

    def _merge_along(self, rows: FloatArray, n_clusters: int, neighbors: NeighborGraph | None) -> tuple[IntArray, int]:
        """Merge groups that share an edge of the graph of neighbors; also return the parts that the graph had."""
        n_wanted = min(self.n_neighbors or 1, len(rows) - 1)
        graph = neighbors or nearest_neighbors(rows, n_neighbors=n_wanted, device=self.device)
        if len(graph.indices) != len(rows):
            raise ValueError(
                f"neighbors has {len(graph.indices)} rows, X has {len(rows)}; "
                "they must describe the same rows in the same order."
            )
        starts = np.repeat(np.arange(len(rows)), min(n_wanted, graph.indices.shape[1]))
        starts, ends, n_parts = connect_parts(rows, starts, graph.indices[:, :n_wanted].ravel(), device=self.device)
        edges = coo_array((np.ones(len(starts)), (starts, ends)), shape=(len(rows), len(rows))).tocsr()
        method = sklearn.cluster.AgglomerativeClustering(
            n_clusters, linkage=self.linkage, connectivity=edges + edges.T, compute_full_tree=False
        )
        return method.fit(rows.astype(np.float64)).labels_.astype(np.int64), n_parts


@parameters
class GaussianMixture(ProbabilisticClusterer):
    """Cluster features by a mixture of normal distributions.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of components, K.
    n_dimensions : int or None, default=64
        Principal components that the mixture is fitted in; at most n_features and n_samples - 1 are used. None takes as
        many as there are.
    covariance : {"full", "tied", "diagonal", "spherical"}, default="full"
        Of a component: any, one for all components, one variance a dimension, or one variance.
    ridge : float, default=0.1
        Added to the variance of every dimension, as a share of the mean variance of a dimension. It keeps components
        of few rows from collapsing.
    normalize : bool, default=True
        Whether rows are scaled to unit length first, so that only directions count.
    n_init : int, default=1
        Restarts; the most likely mixture is kept.
    max_iter : int, default=300
        Most steps of expectation maximization of a restart.
    tol : float, default=1e-3
        A restart ends when a step raises the mean log-likelihood of a row by less, in nats.
    random_state : int, RandomState, Generator or None, default=None
        Decides the k-means that each restart begins with.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable component of each row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you need.
    diagnostics_ : dict
        JSON-compatible: ``log_likelihood``, the mean of the rows in nats, in principal components; ``bic``, smaller is
        better; ``n_dimensions``; ``explained_variance``, the share that they keep; ``n_iter``; ``converged``; and
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy``, ``kl_to_uniform``,
        ``n_empty_clusters``.
    n_iter_ : int
        Steps of the restart that was kept.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    KMeans : The same with one small variance for all, and far quicker.

    Notes
    -----
    Expectation maximization by scikit-learn in float64. A full covariance of d dimensions has d (d + 1) / 2 numbers to
    estimate from the rows of one cluster, so features of a thousand dimensions are reduced first. In many dimensions
    probabilities are nearly 0 or 1 and say little. O(n K d²) time a step for d dimensions kept.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> labels = GaussianMixture(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    _if_collapsed: ClassVar = "Try another ridge, a simpler covariance, or fewer clusters."

    n_clusters: int = integer(8)
    _: KW_ONLY
    n_dimensions: int | None = integer(64, optional=True)
    covariance: Covariance = choice("full", ("full", "tied", "diagonal", "spherical"))
    ridge: float = real(0.1, above=0.0)
    normalize: bool = flag(True)
    n_init: int = integer(1)
    max_iter: int = integer(300)
    tol: float = real(1e-3, above=0.0)
    random_state: Any = free(None)

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        check_n_clusters(self.n_clusters, len(X))
        rows = self._place(X)
        rows = np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows  # a variance needs two
        # Principal components (n, n_dimensions), then expectation maximization in them.
        reduction = principal_components(rows, self.n_dimensions)
        reduced = reduction.transform(rows)
        mixture = self._fit_mixture(reduced)
        self._pipeline = Pipeline([("reduction", reduction), ("mixture", mixture)])
        self.n_iter_ = int(mixture.n_iter_)
        chunks = self._iter_probabilities(X)
        self.labels_, self.probabilities_, diagnostics = collect_predictions(chunks, len(X))
        self.diagnostics_ = {
            "log_likelihood": float(mixture.score(reduced)),
            "bic": float(mixture.bic(reduced)),
            "n_dimensions": int(reduction.n_components_),
            "explained_variance": float(np.nan_to_num(reduction.explained_variance_ratio_.sum(), nan=1.0)),
            "n_iter": self.n_iter_,
            "converged": bool(mixture.converged_),
            **diagnostics,
        }
        if not mixture.converged_:
            warnings.warn(
                f"The mixture did not converge within {self.max_iter} steps: raise max_iter, tol or ridge.",
                ConvergenceWarning,
                stacklevel=4,
            )
        warn_if_collapsed(diagnostics, self.n_clusters, advice=self._if_collapsed)

    def _place(self, X: FloatArray) -> NDArray[np.float64]:
        return (l2_normalize(X) if self.normalize else X).astype(np.float64)

    def _fit_mixture(self, reduced: NDArray[np.float64]) -> sklearn.mixture.GaussianMixture:
        """Fit reduced rows (n, n_dimensions)."""
        variance = reduced.var(axis=0).mean()
        mixture = sklearn.mixture.GaussianMixture(
            self.n_clusters,
            covariance_type=_THEIR_WORDS.get(self.covariance, self.covariance),
            reg_covar=self.ridge * variance if variance > 0 else 1.0,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=draw_seed(self.random_state),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of both the mixture and its k-means: said later
            return mixture.fit(reduced)

    def _iter_probabilities(self, X: FloatArray) -> Iterator[FloatArray]:
        """Yield the probabilities of a chunk of rows after another."""
        for chunk in iter_chunks(len(X), _CHUNK_ROWS):
            yield self._pipeline.predict_proba(self._place(X[chunk])).astype(np.float32)


@parameters
class HDBSCAN(VotingClusterer):
    """Cluster features by their density, with as many clusters as there are dense regions.

    Parameters
    ----------
    min_cluster_size : int or None, default=None
        Fewest rows of a cluster, at least 2. None: a hundredth of the rows, at least 5.
    min_samples : int, default=5
        How many rows, itself included, must lie near a row for its region to be dense. Larger leaves out more.
    selection : {"eom", "leaf"}, default="eom"
        Which clusters of the hierarchy are taken: those that last longest, or the finest.
    assign_noise : bool, default=False
        Whether rows that fit no cluster get the label of the nearest rows that do, rather than -1.
    n_dimensions : int or None, default=32
        Principal components in which densities are measured; None takes all.
    n_votes : int, default=10
        Training rows that vote on a new row; those without a cluster vote for none.
    device : str, default="auto"
        Where votes are counted: ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by the CPU.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [-1, n_clusters_). Equal rows have equal labels; -1 is noise.
    n_clusters_ : int
        Number of clusters found.
    diagnostics_ : dict
        JSON-compatible: ``n_clusters``; ``n_noise``, rows that fit no cluster, also where they were assigned;
        ``min_cluster_size``, ``n_dimensions``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    covey.selection.select_n_clusters : Finds a number for the methods that need one.

    Notes
    -----
    The method of Campello, Moulavi and Sander (2013), by scikit-learn. In many dimensions all distances are alike and
    most rows look like noise, so unit rows are reduced first. Nothing is drawn, so there is no seed.
    O(n² n_dimensions) time, O(n n_dimensions) memory. It warns if no region is dense: then all rows are noise, or one
    cluster with `assign_noise`.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import HDBSCAN
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> HDBSCAN().fit(X).n_clusters_
    2
    """

    _: KW_ONLY
    min_cluster_size: int | None = integer(None, minimum=2, optional=True)
    min_samples: int = integer(5)
    selection: Selection = choice("eom", ("eom", "leaf"))
    assign_noise: bool = flag(False)
    n_dimensions: int | None = integer(32, optional=True)
    n_votes: int = integer(10)
    device: str = free("auto")

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        rows = l2_normalize(X)
        smallest = self.min_cluster_size or max(_SMALLEST_CLUSTER, len(rows) // _SHARE_OF_SMALLEST)
        labels, n_dimensions = self._dense_regions(rows, smallest)
        is_noise = labels == NOISE
        if is_noise.all():
            warnings.warn(
                f"No region is dense enough for a cluster of {smallest} rows: lower min_cluster_size or min_samples.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if self.assign_noise:
            labels = self._assign(rows, labels)
        self._keep(rows, labels)
        self.n_clusters_ = int(self.labels_.max()) + 1
        self.diagnostics_ = {
            "n_clusters": self.n_clusters_,
            "n_noise": int(is_noise.sum()),
            "min_cluster_size": smallest,
            "n_dimensions": n_dimensions,
        }

    def _dense_regions(self, rows: FloatArray, smallest: int) -> tuple[IntArray, int]:
        """Label unit rows (n, d), with noise; also return the number of dimensions."""
        if len(rows) < smallest:
            return np.full(len(rows), NOISE), rows.shape[1]
        reduction = principal_components(rows.astype(np.float64), self.n_dimensions)
        method = sklearn.cluster.HDBSCAN(
            min_cluster_size=smallest,
            min_samples=min(self.min_samples, len(rows)),
            cluster_selection_method=self.selection,
            copy=True,
        )
        labels: IntArray = method.fit(reduction.transform(rows.astype(np.float64))).labels_.astype(np.int64)
        return labels, int(reduction.n_components_)

    def _assign(self, rows: FloatArray, labels: IntArray) -> IntArray:
        """Give noise the label of the nearest rows with one; 0 if there is none."""
        is_noise = labels == NOISE
        if is_noise.all():
            return np.zeros_like(labels)
        if is_noise.any():
            labels = labels.copy()
            labels[is_noise] = self._vote(rows[is_noise], rows[~is_noise], labels[~is_noise])
        return labels


@parameters
class UMAPKMeans(VotingClusterer):
    """Cluster features by k-means in a projection by UMAP; needs the extra ``umap``.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_neighbors : int, default=10
        Neighbors of a row by cosine, itself included; at least 2, and at most n_samples are used.
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
        Where neighbors are searched and k-means runs: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Decides the projection and the starts of k-means. UMAP uses one thread so that a seed gives the same again.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    projection_ : ndarray of shape (n_samples, n_dimensions), dtype float32
        Where the rows lie after UMAP; unit rows where there are too few to project, 2 more than `n_dimensions`.
    diagnostics_ : dict
        JSON-compatible: those of `KMeans`, in the projection; ``is_projected``; ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SpectralClustering : The same graph without the projection.

    Notes
    -----
    UMAP of McInnes, Healy and Melville (2018), by umap-learn, on exact neighbors. A new row gets the vote of its
    nearest training rows, in the features and not in the projection. Distances between groups mean little after UMAP,
    and a group may be torn.
    """

    n_clusters: int = integer(8)
    _: KW_ONLY
    n_neighbors: int = integer(10, minimum=2)
    n_dimensions: int = integer(3)
    min_dist: float = real(0.0, high=1.0)
    n_epochs: int | None = integer(None, optional=True)
    n_init: int = integer(10)
    n_votes: int = integer(10)
    device: str = free("auto")
    random_state: Any = free(None)

    def fit(
        self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None, progress: Progress | None = None
    ) -> Self:
        """Project the rows, cluster the projection, and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            See the glossary.
        neighbors : NeighborGraph, default=None
            Neighbors of the rows of `X` by cosine, if they are known already; the nearest are used.
        progress : Progress, default=None
            Called with "restart", the restarts of k-means done and their number.

        Returns
        -------
        self : UMAPKMeans
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        MissingExtraError
            If umap-learn is not installed.
        TypeError, ValueError
            If a parameter is not allowed, `X` has fewer rows than clusters, or `neighbors` describes other rows.

        Warns
        -----
        ConvergenceWarning
            If equal rows leave fewer clusters than were asked for.
        """
        return self._fit_whole(X, neighbors=neighbors, progress=progress)

    def _fit(self, X: FloatArray, *, neighbors: NeighborGraph | None = None, progress: Progress | None = None) -> None:
        rows = l2_normalize(X)
        n_clusters = check_n_clusters(self.n_clusters, len(rows))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # that TensorFlow is missing, which is not needed here
            umap = require("umap", extra="umap", for_="method 'umap-kmeans'")
        seed = draw_seed(self.random_state)
        is_projected = len(rows) > self.n_dimensions + 1
        projection = self._project(umap, rows, neighbors, seed) if is_projected else rows
        kmeans = KMeans(n_clusters, n_init=self.n_init, device=self.device, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below, of the rows themselves
            kmeans.fit(projection, progress=progress)
        self._keep(rows, kmeans.labels_)
        self.projection_ = projection
        self.diagnostics_ = {
            **kmeans.diagnostics_,
            "is_projected": is_projected,
            "n_empty_clusters": _count_missing(self.labels_, n_clusters),
        }

    def _project(self, umap: Any, rows: FloatArray, neighbors: NeighborGraph | None, seed: int) -> FloatArray:
        """Return the projection (n, n_dimensions) of unit rows (n, d)."""
        n_others = min(self.n_neighbors, len(rows)) - 1
        graph = neighbors or nearest_neighbors(rows, n_neighbors=n_others, device=self.device)
        if len(graph.indices) != len(rows) or graph.metric != "cosine":
            raise ValueError(
                f"neighbors has {len(graph.indices)} rows and metric {graph.metric!r}, X has {len(rows)}; "
                "they must describe the same rows in the same order, by cosine."
            )
        # umap-learn counts a row among its own neighbors, at distance 0: (n, n_others + 1).
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


def pair_distances(rows: FloatArray, *, device: str) -> NDArray[np.float64]:
    """Return the Euclidean distances of all pairs of unit rows (n, d), (n (n - 1) / 2,), as SciPy orders them."""
    n = len(rows)
    points = to_tensor(rows, resolve_float64_device(device)).double()
    squares = points.square().sum(dim=1)
    distances = np.empty(n * (n - 1) // 2)
    end = 0
    for chunk in iter_chunks(n, max(1, _BLOCK_ENTRIES // n)):
        # |x - r|² = |x|² + |r|² - 2 x · r of a chunk with all rows that are not before it, (b, n - start).
        rest = points[chunk.start :]
        squared = squares[chunk, None] + squares[chunk.start :] - 2 * points[chunk] @ rest.T
        block = to_numpy(squared.clamp_(min=0).sqrt_())
        for offset, row in enumerate(block):
            start, end = end, end + len(row) - offset - 1
            distances[start:end] = row[offset + 1 :]
    return distances


def cut_merges(merges: NDArray[np.float64], n_clusters: int) -> IntArray:
    """Return labels (n,) after all but the last `n_clusters` - 1 merges of SciPy's table (n - 1, 4)."""
    n = len(merges) + 1
    n_merges = n - n_clusters
    # Merge i makes node n + i of its two children: the parts of this forest are the clusters.
    made = n + np.arange(n_merges)
    children = merges[:n_merges, :2].astype(np.int64)
    edges = coo_array((np.ones(2 * n_merges), (np.repeat(made, 2), children.ravel())), shape=(2 * n, 2 * n))
    _, group = connected_components(edges, directed=False)
    labels: IntArray = np.unique(group[:n], return_inverse=True)[1].astype(np.int64)
    return labels


def connect_parts(rows: FloatArray, starts: IntArray, ends: IntArray, *, device: str) -> tuple[IntArray, IntArray, int]:
    """Add edges until a graph is in one part; also return the number of parts that it had.

    Each part but the largest gets its shortest edge to the other rows, until there is one part: Borůvka's rounds.
    `starts` and `ends` are the rows that each edge joins.
    """
    n_before = 0
    points = to_tensor(rows, resolve_float64_device(device)).double()
    while True:
        edges = coo_array((np.ones(len(starts)), (starts, ends)), shape=(len(rows), len(rows)))
        n_parts, part_of = connected_components(edges, directed=False)
        n_before = n_before or n_parts
        if n_parts == 1:
            return starts, ends, n_before
        part, largest = to_tensor(part_of, points.device), np.bincount(part_of).argmax()
        nearest: dict[int, tuple[float, int, int]] = {}
        outside = np.flatnonzero(part_of != largest)
        for chunk in iter_chunks(len(outside), max(1, _BLOCK_ENTRIES // len(rows))):
            # The most similar row of another part, for each row of a chunk: argmax of cosines (b, n).
            asked = to_tensor(outside[chunk], points.device)
            cosine = points[asked] @ points.T
            best = cosine.masked_fill_(part[asked, None] == part, -np.inf).max(dim=1)
            for row, other, value in zip(outside[chunk], to_numpy(best.indices), to_numpy(best.values), strict=True):
                nearest[part_of[row]] = max(nearest.get(part_of[row], (-np.inf, 0, 0)), (value, row, other))
        starts = np.concatenate([starts, [row for _, row, _ in nearest.values()]])
        ends = np.concatenate([ends, [other for _, _, other in nearest.values()]])


def _count_missing(labels: IntArray, n_clusters: int) -> int:
    """Return how many clusters have no row, with a warning if any has none."""
    n_found = len(np.unique(labels))
    if n_found < n_clusters:
        warnings.warn(
            f"{n_found} clusters were found, fewer than n_clusters={n_clusters}. X has equal rows, which get one "
            "label: ask for fewer clusters.",
            ConvergenceWarning,
            stacklevel=5,
        )
    return n_clusters - n_found
