"""Ward's tree over the clusters of a partition: which clusters belong together, and into how many groups (arrays only).

Groups are for orientation: they are built from the clusters, so that every cluster is in one group as a whole. A
partition computed with fewer clusters is another one, and usually agrees a little better with classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey._arrays import cluster_means, l2_normalize
from covey.errors import InvalidValueError
from covey.types import NOISE, FloatArray, IntArray

__all__ = ["ClusterTree", "build_tree", "choose_n_groups", "describe_tree", "tree_of_partition"]

FEWEST_CLUSTERS = 8
"""Fewer clusters are seen at a glance and get no groups."""
LEAST_RATIO = 1.15
"""The heights of two successive merges differ by this factor at least where a tree is cut."""


@dataclass(frozen=True, slots=True)
class ClusterTree:
    """A binary tree over clusters, in SciPy's terms the linkage of weighted points.

    Attributes
    ----------
    labels : ndarray of shape (k,), dtype int64
        The clusters, rising; leaf i is the cluster ``labels[i]``.
    counts : ndarray of shape (k,), dtype int64
        Their numbers of images.
    merges : ndarray of shape (k - 1, 2), dtype int64
        The two nodes that each merge joins, the lower first; merge i makes the node k + i.
    heights : ndarray of shape (k - 1,), dtype float64
        Rising: ``sqrt(2 n_a n_b / (n_a + n_b)) |c_a - c_b|`` of the two nodes.
    sizes : ndarray of shape (k - 1,), dtype int64
        Images of the node that each merge makes.
    """

    labels: IntArray
    counts: IntArray
    merges: IntArray
    heights: NDArray[np.float64]
    sizes: IntArray

    def cut(self, n_groups: int) -> IntArray:
        """Return the group of each leaf when the tree is cut into a number of groups.

        Parameters
        ----------
        n_groups : int
            From 1 to k.

        Returns
        -------
        groups : ndarray of shape (k,), dtype int64
            Group 0 has most images; of equally large ones the one with the smallest label comes first.

        Raises
        ------
        InvalidValueError
            If the tree cannot be cut into so many.
        """
        k = len(self.labels)
        if not 1 <= n_groups <= k:
            raise InvalidValueError(f"n_groups is {n_groups}; a tree of {k} clusters can be cut into 1 to {k} groups.")
        # All merges but the last n_groups - 1 are done; each node points to the one it went into.
        parent = np.arange(2 * k - 1)
        for step, (a, b) in enumerate(self.merges[: k - n_groups]):
            parent[[a, b]] = k + step
        for node in range(len(parent) - 1, -1, -1):  # a parent has a larger number, so it knows its root already
            parent[node] = parent[parent[node]]
        _, first, groups = np.unique(parent[:k], return_index=True, return_inverse=True)
        images = np.bincount(groups, weights=self.counts)
        order = np.lexsort((first, -images))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return np.asarray(rank[groups], dtype=np.int64)


def build_tree(centers: Any, counts: Any, labels: Any = None) -> ClusterTree:
    """Join clusters by Ward's method, from their centers and numbers of images alone.

    Parameters
    ----------
    centers : array-like of shape (k, d)
        Means of the clusters' rows.
    counts : array-like of shape (k,), dtype int64
        Rows of each cluster, at least 1.
    labels : array-like of shape (k,), dtype int64, optional
        Names of the leaves; 0 to k - 1 if not given.

    Returns
    -------
    tree : ClusterTree
        The merges, the least increase of the squared error first.

    Raises
    ------
    InvalidValueError
        If there is no cluster, an empty one, or the shapes do not fit.

    Notes
    -----
    Ward's criterion [1]_: joining a and b raises the sum of squared distances of rows to their means by
    ``n_a n_b / (n_a + n_b) |c_a - c_b|^2``, which needs no rows. Found by chains of nearest neighbors [2]_ with the
    update of Lance and Williams [3]_, in O(k^2) time and memory. For counts of 1 the result is SciPy's
    ``linkage(centers, "ward")``.

    References
    ----------
    .. [1] J. H. Ward, "Hierarchical grouping to optimize an objective function", JASA 58, 1963.
    .. [2] F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", The Computer Journal 26,
       1983.
    .. [3] G. N. Lance and W. T. Williams, "A general theory of classificatory sorting strategies: 1. Hierarchical
       systems", The Computer Journal 9, 1967.
    """
    centers, counts = np.asarray(centers, dtype=np.float64), np.asarray(counts, dtype=np.int64)
    k = len(counts)
    if k == 0 or centers.ndim != 2 or len(centers) != k or counts.min() < 1:
        raise InvalidValueError(
            f"centers has shape {centers.shape} and counts {counts.shape}; give a row and a count of at least 1 for "
            "each of one or more clusters."
        )
    names = np.arange(k) if labels is None else np.asarray(labels, dtype=np.int64)
    pairs, costs = _chain(_ward_costs(centers, counts), counts)
    # Chains find merges out of order: sort by cost, then number the nodes as the sorted merges make them.
    order = np.argsort(costs, kind="stable")
    merges, sizes = _number_nodes(pairs[order], counts)
    return ClusterTree(names, counts, merges, np.sqrt(2 * costs[order]), sizes)


def tree_of_partition(X: FloatArray, labels: IntArray) -> ClusterTree | None:
    """Join the clusters of a partition by the means of their rows at unit length.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Features.
    labels : ndarray of shape (n,), dtype int64
        Clusters; `covey.types.NOISE` takes no part.

    Returns
    -------
    tree : ClusterTree or None
        None if there is no cluster.
    """
    names, counts = np.unique(labels[labels != NOISE], return_counts=True)
    if not len(names):
        return None
    means = cluster_means(l2_normalize(X), labels, int(names[-1]) + 1)[names]
    return build_tree(means, counts, names)


def choose_n_groups(tree: ClusterTree, suggested: int | None = None) -> int | None:
    """Choose into how many groups the clusters are put.

    Parameters
    ----------
    tree : ClusterTree
        Of the clusters.
    suggested : int, optional
        A coarser number of clusters for which there is other evidence; taken if it is from 2 to half the clusters.

    Returns
    -------
    n_groups : int or None
        None if nothing speaks for groups: fewer than 8 clusters, or heights that rise evenly.

    Notes
    -----
    Without a suggestion the tree is cut where the ratio of successive heights is largest, i.e. where going on would
    join the least alike groups compared with the merge before; among 2 to half as many groups as clusters, and only if
    the ratio is at least 1.15. Both limits were set beforehand.
    """
    k = len(tree.labels)
    if k < FEWEST_CLUSTERS:
        return None
    if suggested is not None and 2 <= suggested <= k // 2:
        return suggested
    # With n groups left the next merge is number k - n, and the one before it k - n - 1.
    numbers = np.arange(2, k // 2 + 1)
    ratios = tree.heights[k - numbers] / np.maximum(tree.heights[k - numbers - 1], np.finfo(float).tiny)
    best = int(ratios.argmax())
    return int(numbers[best]) if ratios[best] >= LEAST_RATIO else None


def describe_tree(tree: ClusterTree, granularities: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Write a tree and its levels as JSON-compatible data.

    Parameters
    ----------
    tree : ClusterTree
        Of the clusters of a run.
    granularities : mapping of str to int, optional
        Names and numbers of clusters for which there is evidence; those below the number of clusters are levels.

    Returns
    -------
    description : dict
        ``clusters`` and ``sizes``: labels and numbers of images of the leaves; ``merges``: of each merge its two nodes,
        height and number of images, leaf i being node i and merge i making node k + i; ``levels``: the cuts, the
        fewest first, each with ``name``, ``n_clusters`` and ``members``, lists of labels, the largest first;
        ``groups``: the name of the level that is shown as groups, None if there is none.
    """
    k = len(tree.labels)
    numbers = {name: n for name, n in (granularities or {}).items() if 2 <= n < k}
    fitting = [n for n in numbers.values() if n <= k // 2]
    n_groups = choose_n_groups(tree, max(fitting, default=None))
    shown = next((name for name, n in numbers.items() if n == n_groups), None)
    if n_groups is not None and shown is None:
        shown = "groups"
        numbers[shown] = n_groups
    levels = []
    for name, n in sorted(numbers.items(), key=lambda item: item[1]):
        groups = tree.cut(n)
        members = [tree.labels[groups == group].tolist() for group in range(n)]
        levels.append({"name": name, "n_clusters": n, "members": members})
    return {
        "clusters": tree.labels.tolist(),
        "sizes": tree.counts.tolist(),
        "merges": [
            [*pair, round(height, 6), size]
            for pair, height, size in zip(tree.merges.tolist(), tree.heights.tolist(), tree.sizes.tolist(), strict=True)
        ],
        "levels": levels,
        "groups": shown,
    }


def _ward_costs(centers: NDArray[np.float64], counts: IntArray) -> NDArray[np.float64]:
    """Return the cost of joining each two clusters, (k, k); infinite on the diagonal."""
    norms = (centers**2).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms - 2 * centers @ centers.T, 0)
    costs = counts[:, None] * counts / (counts[:, None] + counts) * squared
    np.fill_diagonal(costs, np.inf)
    return np.asarray(costs)


def _chain(costs: NDArray[np.float64], counts: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
    """Merge along chains of nearest neighbors.

    Returns
    -------
    pairs : ndarray of shape (k - 1, 2), dtype int64
        A leaf of each of the two nodes that are joined.
    costs : ndarray of shape (k - 1,), dtype float64
        Of each merge.
    """
    k = len(counts)
    weights = counts.astype(np.float64)
    is_open = np.ones(k, dtype=bool)
    pairs: IntArray = np.empty((k - 1, 2), dtype=np.int64)
    heights: NDArray[np.float64] = np.empty(k - 1)
    chain: list[int] = []
    for step in range(k - 1):
        if not chain:
            chain.append(int(is_open.argmax()))
        while True:  # follow nearest neighbors until two are each other's; a tie goes to the one before
            a = chain[-1]
            b = int(costs[a].argmin())
            if len(chain) > 1 and costs[a, chain[-2]] <= costs[a, b]:
                b = chain[-2]
                break
            chain.append(b)
        del chain[-2:]
        pairs[step], heights[step] = (a, b), costs[a, b]
        # Lance and Williams: the cost of joining each other node c with the union, (k,).
        total = weights[a] + weights[b] + weights
        merged = ((weights[a] + weights) * costs[a] + (weights[b] + weights) * costs[b] - weights * costs[a, b]) / total
        merged[~is_open] = np.inf
        merged[[a, b]] = np.inf
        costs[a], costs[:, a] = merged, merged
        costs[b], costs[:, b] = np.inf, np.inf
        weights[a] += weights[b]
        is_open[b] = False
    return pairs, heights


def _number_nodes(pairs: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Turn pairs of leaves into pairs of nodes, (k - 1, 2), and count the images of each new node, (k - 1,)."""
    k = len(counts)
    parent = list(range(2 * k - 1))
    images = [*counts.tolist(), *[0] * (k - 1)]

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    merges = np.empty((k - 1, 2), dtype=np.int64)
    for step, (a, b) in enumerate(pairs.tolist()):
        nodes: Sequence[int] = sorted((root(a), root(b)))
        merges[step] = nodes
        for node in nodes:
            parent[node] = k + step
        images[k + step] = sum(images[node] for node in nodes)
    return merges, np.array(images[k:], dtype=np.int64)
