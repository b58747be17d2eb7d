"""Agglomerative clustering of unit rows: all pairs where they fit into memory, else along a graph of neighbours."""

import warnings
from typing import Any, ClassVar, Literal, Self

import numpy as np
import sklearn.cluster
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage as merge_all
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import iter_chunks, l2_normalize
from covey._torch import resolve_float64_device, to_numpy, to_tensor
from covey.cluster._checks import check_choices, check_integer, check_n_clusters, fit_features
from covey.cluster._votes import VotingClusterer
from covey.neighbors import nearest_neighbors
from covey.types import FloatArray, IntArray, NeighborGraph

Linkage = Literal["ward", "average", "complete"]

_BLOCK_ENTRIES = 2**24


class Agglomerative(VotingClusterer):
    """Cluster features by merging the two closest groups again and again.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K, at which merging ends.
    linkage : {"ward", "average", "complete"}, default="ward"
        What two groups are apart: what their merger adds to the sum of squares, the mean distance of their rows, or
        the largest one.
    n_neighbors : int or None, default=None
        None: any two groups may merge. A number: only groups that are joined in the graph of so many nearest
        neighbours, which needs memory for the graph alone.
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
        JSON-compatible: ``last_merge`` and ``next_merge``, how far apart the groups were that merged last and those
        that would merge next, None where a graph was used or there is none; ``n_parts`` of the graph before it was tied
        together, None without one; ``n_empty_clusters``, which only equal rows cause.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SpectralClustering : Cuts the graph of neighbours instead.

    Notes
    -----
    Distances are Euclidean between unit rows, in float64. All pairs: SciPy's chain of nearest neighbours, O(n²) time
    after O(n² n_features) for the distances. Along a graph: scikit-learn's heap of edges; a graph that falls apart is
    tied together by the shortest edge from each part to the others, round after round. Nothing is drawn, so there is no
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

    _if_collapsed: ClassVar = "X has equal rows, which get one label: ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        linkage: Linkage = "ward",
        n_neighbors: int | None = None,
        max_rows: int = 20_000,
        n_votes: int = 10,
        device: str = "auto",
    ) -> None:
        self.n_clusters = n_clusters
        self.linkage = linkage
        self.n_neighbors = n_neighbors
        self.max_rows = max_rows
        self.n_votes = n_votes
        self.device = device

    def fit(self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None) -> Self:
        """Merge rows to clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            For scikit-learn's contract.
        neighbors : NeighborGraph, default=None
            Neighbours of the rows of `X`, if they are known already; the nearest `n_neighbors` are used. Looked at
            only if `n_neighbors` is a number.

        Returns
        -------
        self : Agglomerative
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, `X` has fewer rows than clusters, or more than `max_rows` without
            `n_neighbors`, or `neighbors` describes other rows.

        Warns
        -----
        ConvergenceWarning
            If equal rows leave fewer clusters than were asked for.
        """
        rows = l2_normalize(fit_features(self, X))
        n_clusters = check_n_clusters(self.n_clusters, len(rows))
        check_choices(self.get_params(), {"linkage": ("ward", "average", "complete")})
        for name in ("max_rows", "n_votes", *([] if self.n_neighbors is None else ["n_neighbors"])):
            check_integer(name, getattr(self, name), minimum=1)
        facts: dict[str, Any] = {"last_merge": None, "next_merge": None, "n_parts": None}
        if len(rows) == 1:
            labels = np.zeros(1, dtype=np.int64)
        elif self.n_neighbors is None:
            labels, facts["last_merge"], facts["next_merge"] = self._merge_all(rows, n_clusters)
        else:
            labels, facts["n_parts"] = self._merge_along(rows, n_clusters, neighbors)
        self._keep(rows, labels)
        n_found = len(np.unique(self.labels_))
        self.diagnostics_ = {**facts, "n_empty_clusters": n_clusters - n_found}
        if n_found < n_clusters:
            warnings.warn(
                f"{n_found} clusters were found, fewer than n_clusters={n_clusters}. {self._if_collapsed}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _merge_all(self, rows: FloatArray, n_clusters: int) -> tuple[IntArray, float | None, float | None]:
        """Merge any two groups of unit rows (n, d); also return the last distance and the next."""
        n = len(rows)
        if n > self.max_rows:
            raise ValueError(
                f"X has {n} rows, more than max_rows={self.max_rows}: all their distances would take "
                f"{8 * n**2 / 1e9:.1f} GB. Give n_neighbors, 15 for one, to merge along a graph instead, or raise "
                "max_rows."
            )
        merges = merge_all(pair_distances(rows, device=self.device), method=self.linkage)  # (n - 1, 4), ascending
        n_merges = n - n_clusters
        last, following = (float(merges[i, 2]) if 0 <= i < n - 1 else None for i in (n_merges - 1, n_merges))
        return cut_merges(merges, n_clusters), last, following

    def _merge_along(self, rows: FloatArray, n_clusters: int, neighbors: NeighborGraph | None) -> tuple[IntArray, int]:
        """Merge groups that share an edge of the graph of neighbours; also return the parts that the graph had."""
        n_wanted = min(self.n_neighbors or 1, len(rows) - 1)
        graph = neighbors or nearest_neighbors(rows, n_neighbors=n_wanted, device=self.device)
        if len(graph.indices) != len(rows):
            raise ValueError(
                f"neighbors has {len(graph.indices)} rows, X has {len(rows)}; "
                "they must describe the same rows in the same order."
            )
        starts = np.repeat(np.arange(len(rows)), min(n_wanted, graph.indices.shape[1]))
        starts, ends, n_parts = tie_parts(rows, starts, graph.indices[:, :n_wanted].ravel(), device=self.device)
        edges = coo_array((np.ones(len(starts)), (starts, ends)), shape=(len(rows), len(rows))).tocsr()
        method = sklearn.cluster.AgglomerativeClustering(
            n_clusters, linkage=self.linkage, connectivity=edges + edges.T, compute_full_tree=False
        )
        return method.fit(rows.astype(np.float64)).labels_.astype(np.int64), n_parts


def pair_distances(rows: FloatArray, *, device: str) -> NDArray[np.float64]:
    """Return the Euclidean distances of all pairs of unit rows (n, d), (n (n - 1) / 2,), as SciPy orders them."""
    n = len(rows)
    points = to_tensor(rows, resolve_float64_device(device)).double()
    squares = points.square().sum(dim=1)
    distances = np.empty(n * (n - 1) // 2)
    end = 0
    for chunk in iter_chunks(n, max(1, _BLOCK_ENTRIES // n)):
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
    made = n + np.arange(n_merges)
    children = merges[:n_merges, :2].astype(np.int64)
    edges = coo_array((np.ones(2 * n_merges), (np.repeat(made, 2), children.ravel())), shape=(2 * n, 2 * n))
    _, group = connected_components(edges, directed=False)
    labels: IntArray = np.unique(group[:n], return_inverse=True)[1].astype(np.int64)
    return labels


def tie_parts(rows: FloatArray, starts: IntArray, ends: IntArray, *, device: str) -> tuple[IntArray, IntArray, int]:
    """Add edges until a graph is in one part; also return the parts that it had.

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
            asked = to_tensor(outside[chunk], points.device)
            cosine = points[asked] @ points.T
            best = cosine.masked_fill_(part[asked, None] == part, -np.inf).max(dim=1)
            for row, other, value in zip(outside[chunk], to_numpy(best.indices), to_numpy(best.values), strict=True):
                nearest[part_of[row]] = max(nearest.get(part_of[row], (-np.inf, 0, 0)), (value, row, other))
        starts = np.concatenate([starts, [row for _, row, _ in nearest.values()]])
        ends = np.concatenate([ends, [other for _, _, other in nearest.values()]])
