"""Neighbours become a symmetric, sparse affinity."""

from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from covey.types import NeighborGraph

Weights = Literal["self-tuning", "binary"]

_SCALE_NEIGHBOR = 7
_LEAST_SCALE = 1e-3  # of the mean scale


def neighbor_affinity(graph: NeighborGraph, *, weights: Weights = "self-tuning") -> Any:
    """Weigh the edges of a graph of neighbours and make it symmetric.

    Parameters
    ----------
    graph : NeighborGraph
        Neighbours with cosine distances, n rows.
    weights : {"self-tuning", "binary"}, default="self-tuning"
        ``"binary"``: every edge counts 1. ``"self-tuning"``: exp(-d²(i, j) / (σ_i σ_j)), where d is the Euclidean
        distance of the unit rows and σ_i that of row i to its seventh neighbour, or to its last if it has fewer.

    Returns
    -------
    affinity : csr_array of shape (n, n), dtype float64
        (A + Aᵀ) / 2, where A holds the weights of the directed edges: an edge in one direction counts half.

    Notes
    -----
    The weights of [1]_; sparse as in [2]_. A scale is at least a thousandth of the mean scale, so that a row with many
    equal rows keeps its other edges.

    References
    ----------
    .. [1] L. Zelnik-Manor and P. Perona, "Self-tuning spectral clustering", NIPS 2004.
    .. [2] U. von Luxburg, "A tutorial on spectral clustering", Statistics and Computing, 2007.
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
