"""Spectral clustering: of a graph of neighbors, or of the doubly stochastic membership of all rows.

`SpectralClustering` makes a sparse graph (`neighbor_affinity`), decomposes its Laplacian and runs k-means on the
eigenvectors (`spectral_partition`); the subspace methods make other graphs and share `GraphClusterer`.
`SinkhornSpectral` is the baseline "SC" of CPP's paper: the membership of plain features, which is dense and never
formed (`covey.cluster._landmarks`).

References
----------
.. [1] A. Y. Ng, M. I. Jordan and Y. Weiss, "On spectral clustering: analysis and an algorithm", NIPS 2001.
.. [2] L. Zelnik-Manor and P. Perona, "Self-tuning spectral clustering", NIPS 2004.
.. [3] U. von Luxburg, "A tutorial on spectral clustering", Statistics and Computing, 2007.
.. [4] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR 2024,
   arXiv:2306.05272.
"""

import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn.functional import normalize

from covey._arrays import draw_seed, l2_normalize
from covey._torch import make_generator, to_numpy
from covey.cluster._base import NeighborClusterer, check_n_clusters
from covey.cluster._heads import HeadClusterer
from covey.cluster._kmeans import KMeans
from covey.cluster._landmarks import Spectrum, check_n_half_steps
from covey.cluster._parameters import checked, choice, flag, free, integer, parameters, real
from covey.cluster._voting import VotingClusterer
from covey.errors import ConvergenceError
from covey.neighbors import nearest_neighbors
from covey.types import NOISE, FloatArray, IntArray, NeighborGraph, Progress

Weights = Literal["self-tuning", "binary"]

_SCALE_NEIGHBOR = 7
_LEAST_SCALE = 1e-3  # of the mean scale
_DENSE_ROWS = 400
"""A component of so few rows is decomposed whole: quicker than Lanczos, and exact."""
_TOLERANCE = 1e-7
"""Relative accuracy of Lanczos' eigenvalues; that of the vectors is near its root."""

# Appendix D of CPP's paper: the features as they are, and the best γ, by labels, of eight from 0.06 to 0.2. Which one
# that was is not said; this is one of them.
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"cpp-paper": {"center": False, "gamma": 0.1}})
"""Published settings of SinkhornSpectral: keywords of the constructor by the name of their source."""


class GraphClusterer(VotingClusterer):
    """Base of the estimators that partition a sparse affinity.

    A subclass makes the affinity when it is fitted and ends with `_keep_partition`; in `_if_apart` it says what
    connects a graph. It has the parameters `n_clusters`, `n_init`, `n_votes`, `device` and `random_state`.
    """

    _if_apart: ClassVar[str]

    n_clusters: int
    n_init: int
    random_state: Any

    def _keep_partition(self, rows: FloatArray, affinity: Any, **further: Any) -> Self:
        """Partition the affinity of unit rows (n, d), keep the labels, and warn if the graph falls apart.

        `further` are diagnostics of the method's own. The result is written last.
        """
        labels, eigenvalues, n_components = np.zeros(len(rows), dtype=np.int64), np.zeros(1), None
        n_outside = 0
        if self.n_clusters > 1:
            try:
                seed = draw_seed(self.random_state)
                labels, eigenvalues, _, n_components = spectral_partition(
                    affinity, self.n_clusters, n_init=self.n_init, seed=seed
                )
            except ConvergenceError as error:
                raise ConvergenceError(f"{error} {self._if_apart}") from error
            is_outside = labels == NOISE
            if n_outside := int(is_outside.sum()):
                labels[is_outside] = self._vote(rows[is_outside], rows[~is_outside], labels[~is_outside])
        self._keep(rows, labels)  # equal rows get one label
        self.eigenvalues_ = eigenvalues
        self.diagnostics_ = {
            **further,
            "n_components": n_components,
            "n_rows_outside": n_outside,
            "mean_degree": float(affinity.nnz / len(rows)),
        }
        if n_components is not None and n_components > self.n_clusters:
            warnings.warn(
                f"The graph falls into {n_components} parts, more than n_clusters={self.n_clusters}: the largest are "
                f"the clusters, and {n_outside} rows outside got that of the nearest rows. {self._if_apart}",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif (n_found := len(np.unique(self.labels_))) < self.n_clusters:
            warnings.warn(
                f"{n_found} clusters were found, fewer than n_clusters={self.n_clusters}: X has equal rows, which get "
                f"one label, or eigenvectors that do not separate more. Ask for at most {n_found}.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self


@parameters
class SpectralClustering(GraphClusterer, NeighborClusterer):
    """Cluster features by the eigenvectors of their graph of nearest neighbors.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_neighbors : int, default=15
        Neighbors of a row in the graph, by cosine; at most n_samples - 1 are used.
    weights : {"self-tuning", "binary"}, default="self-tuning"
        Weight of an edge: by its length relative to the distances that are usual around its ends, or 1.
    n_init : int, default=10
        Restarts of k-means on the eigenvectors.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where to search neighbors; eigenvectors come from the CPU. See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the starts of the eigensolver and of k-means. See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    eigenvalues_ : ndarray of shape (n_clusters,), dtype float64
        Smallest eigenvalues of the normalized Laplacian, ascending; fewer if few rows have an edge.
    diagnostics_ : dict
        JSON-compatible: ``n_components``, the parts of the graph (None for one cluster); ``n_rows_outside``, rows that
        were placed as new rows are; ``mean_degree``, edges of a row.

    See Also
    --------
    TEMI : Learns from the same neighbors, and predicts by what it learned.
    KMeans : The same without a graph.

    Notes
    -----
    The algorithm of Ng, Jordan and Weiss on a symmetric graph of neighbors with the weights of Zelnik-Manor and
    Perona or none. A graph that falls apart
    is handled part by part, and a new row gets the vote of its nearest training rows, each weighing one over its
    distance: docs/methods/spectral.md. Cost: the neighbors, O(n² d), and then a few hundred products with a sparse
    matrix of 2 n n_neighbors entries at most; memory O(n (n_neighbors + n_clusters)).

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

    n_clusters: int = integer(8)
    _: KW_ONLY
    n_neighbors: int = integer(15)
    weights: Weights = choice("self-tuning", ("self-tuning", "binary"))
    n_init: int = integer(10)
    n_votes: int = integer(10)
    device: str = free("auto")
    random_state: Any = free(None)

    def _fit(self, X: FloatArray, *, neighbors: NeighborGraph | None = None, progress: Progress | None = None) -> None:
        rows = l2_normalize(X)
        check_n_clusters(self.n_clusters, len(rows))
        if len(rows) == 1:
            affinity: Any = csr_array((1, 1))
        else:
            affinity = neighbor_affinity(self._graph(rows, neighbors), weights=self.weights)
        if progress is not None:
            progress("train", 1, 2)
        self._keep_partition(rows, affinity)
        if progress is not None:
            progress("train", 2, 2)

    def _graph(self, rows: FloatArray, neighbors: NeighborGraph | None) -> NeighborGraph:
        """Return the neighbors to use: those of unit rows (n, d), or the nearest of the given ones."""
        n_wanted = min(self.n_neighbors, len(rows) - 1)
        if neighbors is None:
            return nearest_neighbors(rows, n_neighbors=n_wanted, device=self.device)
        if len(neighbors.indices) != len(rows) or neighbors.metric != "cosine":
            raise ValueError(
                f"neighbors has {len(neighbors.indices)} rows and metric {neighbors.metric!r}, X has {len(rows)}; "
                "they must describe the same rows in the same order, by cosine."
            )
        return NeighborGraph(neighbors.indices[:, :n_wanted], neighbors.distances[:, :n_wanted], neighbors.metric)


@parameters
class SinkhornSpectral(HeadClusterer):
    """Cluster features by the eigenvectors of their doubly stochastic membership.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    gamma : float, default=0.1
        Regularization γ of the membership, in units of a cosine: larger makes it more even.
    n_half_steps : int, default=5
        Sinkhorn's scalings of rows and columns, odd; 1 is a softmax of rows.
    center : bool, default=True
        Whether the mean row is subtracted before rows are scaled to unit length. Features behind a ReLU lie in a narrow
        cone, where all cosines are alike.
    n_landmarks : int, default=1024
        Rows that represent all; where there are no more rows than these, it is exact.
    device : str, default="auto"
        See the glossary; MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the landmarks and of the starts of k-means. See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters).
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1: softmax of the cosines between a row's spectral coordinates and the clusters' centers, over γ.
        None where it would take more than 2 GiB: ask `predict_proba` for the rows you need.
    diagnostics_ : dict
        JSON-compatible: ``n_landmarks``; ``mean_max_probability``, ``median_max_probability``,
        ``conditional_entropy``, ``kl_to_uniform``, ``n_empty_clusters``.

    See Also
    --------
    CPP : Learns a code first, and cuts its membership in the same way.
    SpectralClustering : A graph of neighbors instead.

    Notes
    -----
    The baseline "SC" of CPP's paper, appendix D: spectral clustering of the Sinkhorn projection of |X Xᵀ| / γ. Departs
    from the paper: it is of all rows, through landmarks, and not of a batch; rows are centered by default;
    new rows are placed by their membership among the landmarks. O(n m (d + m)) time for m landmarks, O(m²) memory
    beside `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SinkhornSpectral
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 8)) for center in np.eye(8)[:3] * 3])
    >>> labels = SinkhornSpectral(n_clusters=3, random_state=0).fit_predict(X)
    >>> [len(set(labels[start : start + 40])) for start in (0, 40, 80)], len(set(labels[::40]))
    ([1, 1, 1], 3)
    """

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Ask for fewer clusters, or lower gamma."

    n_clusters: int = integer(8)
    _: KW_ONLY
    gamma: float = real(0.1, above=0.0)
    n_half_steps: int = checked(5, check_n_half_steps, "an odd integer of at least 1")
    center: bool = flag(True)
    n_landmarks: int = integer(1024)
    device: str = free("auto")
    random_state: Any = free(None)

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        rows = torch.from_numpy(X).double() if X.flags.writeable else torch.from_numpy(X.copy()).double()
        directions = Directions(rows.mean(dim=0) if self.center else torch.zeros(X.shape[1], dtype=torch.float64))
        code = to_numpy(directions(rows).float())  # unit rows (n, d)
        spectrum = Spectrum.fit(
            code,
            self.device,
            max(self.n_landmarks, n_clusters),
            sinkhorn=(self.gamma, self.n_half_steps),
            seeds=make_generator(self.random_state),
        )
        if progress is not None:
            progress("train", 1, 2)
        labels = spectrum.labels(code, n_clusters, self.device)
        self._keep_head(X, directions, labels, n_landmarks=len(spectrum.landmarks.codes))
        if progress is not None:
            progress("train", 2, 2)


def neighbor_affinity(graph: NeighborGraph, *, weights: Weights = "self-tuning") -> Any:
    """Weigh the edges of a graph of neighbors and make it symmetric.

    Parameters
    ----------
    graph : NeighborGraph
        Neighbors with cosine distances, n rows.
    weights : {"self-tuning", "binary"}, default="self-tuning"
        ``"binary"``: every edge counts 1. ``"self-tuning"``: exp(-d²(i, j) / (σ_i σ_j)), where d is the Euclidean
        distance of the unit rows and σ_i that of row i to its seventh neighbor, or to its last if it has fewer.

    Returns
    -------
    affinity : csr_array of shape (n, n), dtype float64
        (A + Aᵀ) / 2, where A holds the weights of the directed edges: an edge in one direction counts half.

    Notes
    -----
    The weights of Zelnik-Manor and Perona; sparse as in von Luxburg. A scale is at least a thousandth of the mean
    scale, so that a row with many equal rows keeps its other edges.
    """
    n, k = graph.indices.shape
    if weights == "binary":
        values = np.ones((n, k))
    else:
        squared = 2 * np.maximum(graph.distances.astype(np.float64), 0)  # |x - y|² of unit rows
        scales = np.sqrt(squared[:, min(_SCALE_NEIGHBOR, k) - 1])
        scales = np.maximum(scales, _LEAST_SCALE * scales.mean())
        scales[scales == 0] = 1  # all rows are equal
        values = np.exp(-squared / (scales[:, None] * scales[graph.indices]))
    starts = np.arange(0, n * k + 1, k)
    directed = csr_array((values.ravel(), graph.indices.ravel(), starts), shape=(n, n))
    return ((directed + directed.T) / 2).tocsr()


class SpectralPartition(NamedTuple):
    """Labels and eigenvectors of a graph.

    Attributes
    ----------
    labels : ndarray of shape (n,), dtype int64
        In [0, n_clusters); `NOISE` for a row that took no part: without an edge, or in a part beyond the largest
        `n_clusters`.
    eigenvalues : ndarray of shape (at most n_clusters,), dtype float64
        The smallest eigenvalues of the normalized Laplacian, in [0, 2], ascending.
    vectors : ndarray of shape (n, len(eigenvalues)), dtype float32
        Their eigenvectors, rows of unit length; zero for a row that took no part.
    n_components : int
        Parts into which the graph falls, rows without an edge not counted.
    """

    labels: IntArray
    eigenvalues: NDArray[np.float64]
    vectors: FloatArray
    n_components: int


def spectral_partition(affinity: Any, n_clusters: int, *, n_init: int, seed: int) -> SpectralPartition:
    """Partition a sparse affinity by the first eigenvectors of its normalized Laplacian.

    Parameters
    ----------
    affinity : csr_array of shape (n, n), dtype float64
        Symmetric and non-negative; the diagonal is ignored.
    n_clusters : int
        Number of clusters, at most n.
    n_init : int
        Restarts of k-means.
    seed : int
        Decides the starts of Lanczos and of k-means.

    Returns
    -------
    partition : SpectralPartition
        Labels, eigenvalues and eigenvectors, and how connected the graph is.

    Raises
    ------
    ConvergenceError
        If the graph has no edge, or Lanczos does not converge.

    Notes
    -----
    The algorithm of Ng, Jordan and Weiss. Eigenvectors of a graph that falls apart are not unique, so each part is
    decomposed on its own and the smallest eigenvalues of all are kept: every part gives its 0, and as many parts as
    clusters come out as the clusters. With more parts than clusters only the largest take part, each as one cluster.
    """
    affinity = _without_diagonal(affinity)  # W (n, n)
    degrees = np.asarray(affinity.sum(axis=1)).ravel()
    if not degrees.any():
        raise ConvergenceError(
            "The affinity has no edge, so nothing can be partitioned: all rows are zero, or no two rows are connected."
        )
    parts, n_components = _largest_parts(affinity, degrees, n_clusters)
    eigenvalues, vectors = _smallest_eigenvectors(affinity, degrees, parts, n_clusters, seed)
    # k-means on unit rows of the eigenvectors, (n, n_clusters), of the rows that take part.
    inside = np.sort(np.concatenate(parts))
    kmeans = KMeans(min(n_clusters, len(inside)), n_init=n_init, device="cpu", random_state=seed)
    labels = np.full(len(degrees), NOISE, dtype=np.int64)
    labels[inside] = kmeans.fit(vectors[inside]).labels_
    return SpectralPartition(labels, eigenvalues, vectors, n_components)


class Directions:
    """Scale rows to unit length, seen from a point.

    Parameters
    ----------
    origin : Tensor of shape (d,), dtype float64
        The point.
    """

    def __init__(self, origin: Tensor) -> None:
        self.origin = origin

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the directions of rows (n, d) in their dtype, rounded to float32; a row at the origin has none."""
        directions = normalize(rows.double() - self.origin.to(rows.device), dim=1)
        return directions.float().to(rows.dtype)


def _without_diagonal(affinity: Any) -> Any:
    """Return the affinity without its diagonal and without stored zeros."""
    affinity = csr_array(affinity, dtype=np.float64, copy=True)
    affinity.setdiag(0)
    affinity.eliminate_zeros()
    return affinity


def _largest_parts(affinity: Any, degrees: NDArray[np.float64], n_largest: int) -> tuple[list[IntArray], int]:
    """Return the rows of the largest connected parts that have an edge, and how many such parts there are."""
    _, part_of = connected_components(affinity, directed=False)
    counts = np.bincount(part_of[degrees > 0])
    n_parts = int((counts > 0).sum())
    largest = np.argsort(-counts, kind="stable")[: min(n_largest, n_parts)]
    order = np.argsort(part_of, kind="stable")
    ends = np.cumsum(np.bincount(part_of))
    starts = ends - np.bincount(part_of)
    return [order[starts[part] : ends[part]] for part in largest], n_parts


def _smallest_eigenvectors(
    affinity: Any, degrees: NDArray[np.float64], parts: list[IntArray], n_vectors: int, seed: int
) -> tuple[NDArray[np.float64], FloatArray]:
    """Return the smallest eigenvalues of I - D^(-1/2) W D^(-1/2) over all parts, and unit rows of their vectors."""
    rng = np.random.default_rng(seed)
    found = []  # (eigenvalue, part, vector within the part)
    for part, members in enumerate(parts):
        scale = 1 / np.sqrt(degrees[members])
        block = affinity[members][:, members] * scale[:, None] * scale  # D^(-1/2) W D^(-1/2)
        n_wanted = min(len(members), n_vectors - len(parts) + 1)  # each other part gives one at least
        values, vectors = _largest_eigenpairs(csr_array(block), n_wanted, rng)
        found += [(1 - value, part, vector) for value, vector in zip(values, vectors.T, strict=True)]
    found.sort(key=lambda item: item[:2])
    kept = found[:n_vectors]
    embedded = np.zeros((len(degrees), len(kept)), dtype=np.float32)
    for column, (_, part, vector) in enumerate(kept):
        embedded[parts[part], column] = vector
    return np.clip([value for value, _, _ in kept], 0, 2), l2_normalize(embedded)


def _largest_eigenpairs(
    block: Any, n_wanted: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest eigenvalues of a symmetric sparse matrix, (n_wanted,), and their vectors (n, n_wanted)."""
    n = block.shape[0]
    if n <= _DENSE_ROWS or n_wanted > n // 2:
        return eigh(block.toarray(), subset_by_index=(n - n_wanted, n - 1))  # type: ignore[no-any-return]  # untyped
    try:
        return eigsh(block, n_wanted, which="LA", v0=rng.normal(size=n), tol=_TOLERANCE)  # type: ignore[no-any-return]  # untyped
        # untyped
    except ArpackNoConvergence as error:
        raise ConvergenceError(
            f"Lanczos found {len(error.eigenvalues)} of {n_wanted} eigenvectors of a graph of {n} rows: "
            "use more neighbors, which connects the graph, or ask for fewer clusters."
        ) from error
