"""Spectral clustering of a sparse affinity: normalised Laplacian, component by component, then k-means."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from covey._arrays import l2_normalize
from covey.cluster._kmeans import KMeans
from covey.errors import ConvergenceError
from covey.types import NOISE, FloatArray, IntArray

_DENSE_ROWS = 400
"""A component of so few rows is decomposed whole: quicker than Lanczos, and exact."""
_TOLERANCE = 1e-7
"""Relative accuracy of Lanczos' eigenvalues; that of the vectors is near its root."""


class SpectralPartition(NamedTuple):
    """What `spectral_partition` finds.

    Attributes
    ----------
    labels : ndarray of shape (n,), dtype int64
        In [0, n_clusters); `NOISE` for a row that took no part: without an edge, or in a part beyond the largest
        `n_clusters`.
    eigenvalues : ndarray of shape (at most n_clusters,), dtype float64
        The smallest eigenvalues of the normalised Laplacian, in [0, 2], ascending.
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
    """Partition a sparse affinity by the first eigenvectors of its normalised Laplacian.

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
    The algorithm of [1]_. Eigenvectors of a graph that falls apart are not unique, so each part is decomposed on its
    own and the smallest eigenvalues of all are kept: every part gives its 0, and as many parts as clusters come out as
    the clusters. With more parts than clusters only the largest take part, each as one cluster.

    References
    ----------
    .. [1] A. Y. Ng, M. I. Jordan and Y. Weiss, "On spectral clustering: analysis and an algorithm", NIPS 2001.
    """
    affinity = _without_diagonal(affinity)
    degrees = np.asarray(affinity.sum(axis=1)).ravel()
    if not degrees.any():
        raise ConvergenceError(
            "The affinity has no edge, so nothing can be partitioned: all rows are zero, or no row is tied to another."
        )
    parts, n_components = _largest_parts(affinity, degrees, n_clusters)
    eigenvalues, vectors = _smallest_eigenvectors(affinity, degrees, parts, n_clusters, seed)
    inside = np.sort(np.concatenate(parts))
    kmeans = KMeans(min(n_clusters, len(inside)), n_init=n_init, device="cpu", random_state=seed)
    labels = np.full(len(degrees), NOISE, dtype=np.int64)
    labels[inside] = kmeans.fit(vectors[inside]).labels_
    return SpectralPartition(labels, eigenvalues, vectors, n_components)


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
        block = affinity[members][:, members] * scale[:, None] * scale
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
    except ArpackNoConvergence as error:
        raise ConvergenceError(
            f"Lanczos found {len(error.eigenvalues)} of {n_wanted} eigenvectors of a graph of {n} rows: "
            "use more neighbours, which ties the graph together, or ask for fewer clusters."
        ) from error
