"""The figures of CPP's paper as arrays: how alike rows are, cluster by cluster, and how many directions they use.

Nothing here draws; the gallery does, from what `structure_figures` records with a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from covey._arrays import check_features, draw_seed, iter_chunks, l2_normalize
from covey.types import NOISE, FloatArray, IntArray

__all__ = ["CosineBlocks", "Spectra", "cosine_blocks", "singular_values", "structure_figures"]

_CHUNK_ROWS = 8192
_ROWS_OF_SPECTRA = 5000  # that a run's summary looks at: a second's work at a thousand features


@dataclass(frozen=True, slots=True)
class CosineBlocks:
    """|Zᵀ Z| of a sample of rows, sorted by cluster.

    Attributes
    ----------
    cosines : ndarray of shape (m, m), dtype float32
        Absolute cosines, in [0, 1].
    rows : ndarray of shape (m,), dtype int64
        Which rows were taken, in the order of the matrix.
    labels : ndarray of shape (m,), dtype int64
        Their clusters, the largest cluster first.
    """

    cosines: FloatArray
    rows: IntArray
    labels: IntArray


@dataclass(frozen=True, slots=True)
class Spectra:
    """Singular values, each list divided by its largest.

    Attributes
    ----------
    everything : ndarray of shape (n_values,), dtype float32
        Of all rows, descending from 1.
    by_cluster : mapping of int to ndarray of shape (at most n_values,), dtype float32
        Of the rows of a cluster, the largest cluster first; as many as the cluster has rows, at most `n_values`.
    """

    everything: FloatArray
    by_cluster: Mapping[int, FloatArray]


def cosine_blocks(Z: Any, labels: Any, *, max_rows: int = 240, random_state: Any = 0) -> CosineBlocks:
    """Compare rows with each other, sorted by cluster: blocks show where clusters are orthogonal.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        Features or a representation.
    labels : array-like of shape (n,), dtype int64
        Clusters; rows of noise (-1) are left out.
    max_rows : int, default=240
        Most rows to compare. Where there are more, each cluster keeps its share of them, rounded so that the sum is
        `max_rows` and so that the largest clusters are seen first; which rows is drawn.
    random_state : int, RandomState, Generator or None, default=0
        Decides which rows.

    Returns
    -------
    blocks : CosineBlocks
        The matrix and the rows that it is of.

    Raises
    ------
    ValueError
        If there is no row in a cluster, `labels` do not fit the rows, or `max_rows` is less than 1.

    Notes
    -----
    Figure 2 of CPP's paper, arXiv:2306.05272, section 4.3.
    """
    Z, labels = _check(Z, labels)
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}; it must be at least 1.")
    rng = np.random.default_rng(draw_seed(random_state))
    clusters = _by_size(labels)
    sizes = np.array([np.count_nonzero(labels == label) for label in clusters])
    ends = np.round(np.cumsum(sizes) * min(1.0, max_rows / sizes.sum())).astype(np.int64)
    taken = []
    for label, n_taken in zip(clusters, np.diff(ends, prepend=0), strict=True):
        members = np.flatnonzero(labels == label)
        taken.append(np.sort(rng.choice(members, n_taken, replace=False)))
    rows = np.concatenate(taken)
    unit = l2_normalize(Z[rows])
    return CosineBlocks(np.clip(np.abs(unit @ unit.T), 0, 1), rows, labels[rows])


def singular_values(
    Z: Any,
    labels: Any,
    *,
    n_values: int = 64,
    max_clusters: int | None = None,
    max_rows: int | None = None,
    random_state: Any = 0,
) -> Spectra:
    """Measure how many directions all rows use, and those of each cluster.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        Features or a representation; rows are scaled to unit length and not centered.
    labels : array-like of shape (n,), dtype int64
        Clusters; rows of noise (-1) count among all rows only.
    n_values : int, default=64
        How many singular values of each, at most d.
    max_clusters : int or None, default=None
        Most clusters, the largest first; None: all.
    max_rows : int or None, default=None
        Most rows to look at: drawn from all rows, so that a cluster has its share. None: all.
    random_state : int, RandomState, Generator or None, default=0
        Decides which rows, if there are more.

    Returns
    -------
    spectra : Spectra
        Of all rows and of each cluster.

    Raises
    ------
    ValueError
        If there is no row in a cluster, `labels` do not fit the rows, or a number is less than 1.

    Notes
    -----
    Figure 3 of CPP's paper. Roots of the eigenvalues of Gram matrices in float64, of rows or of features, whichever are
    fewer: O(n d²) time, O(d²) memory.
    """
    Z, labels = _check(Z, labels)
    for name, value in {"n_values": n_values, "max_clusters": max_clusters, "max_rows": max_rows}.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1.")
    if max_rows is not None and max_rows < len(Z):
        drawn = np.random.default_rng(draw_seed(random_state)).choice(len(Z), max_rows, replace=False)
        Z, labels = Z[drawn], labels[drawn]
    unit = l2_normalize(Z)
    clusters = _by_size(labels)[:max_clusters]
    by_cluster = {int(label): _spectrum(unit[labels == label], n_values) for label in clusters}
    return Spectra(_spectrum(unit, n_values), by_cluster)


def structure_figures(
    Z: Any, labels: Any, *, max_rows: int = 80, n_values: int = 32, max_clusters: int = 12
) -> dict[str, Any]:
    """Summarize both figures in plain data, small enough to be kept with a run.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        Features or a representation.
    labels : array-like of shape (n,), dtype int64
        Clusters; at least one row is in one.
    max_rows, n_values, max_clusters : int, default=80, 32, 12
        As `cosine_blocks` and `singular_values` have them.

    Returns
    -------
    figures : dict
        JSON-compatible: ``cosines``, hexadecimal digits of max_rows² bytes at most, row by row, 255 for a cosine of 1;
        ``labels`` of these rows; ``spectrum``; ``cluster_spectra``, pairs of a cluster and its list; ``n_features``.
    """
    blocks = cosine_blocks(Z, labels, max_rows=max_rows)
    spectra = singular_values(
        Z, labels, n_values=n_values, max_clusters=max_clusters, max_rows=_ROWS_OF_SPECTRA, random_state=0
    )
    return {
        "cosines": np.round(255 * blocks.cosines).astype(np.uint8).tobytes().hex(),
        "labels": blocks.labels.tolist(),
        "spectrum": _rounded(spectra.everything),
        "cluster_spectra": [[label, _rounded(values)] for label, values in spectra.by_cluster.items()],
        "n_features": int(np.shape(Z)[1]),
    }


def _check(Z: Any, labels: Any) -> tuple[FloatArray, IntArray]:
    """Return rows (n, d) and their labels (n,), of which at least one is not noise."""
    rows, known = check_features(Z, name="Z"), np.asarray(labels)
    if known.shape != (len(rows),):
        raise ValueError(f"labels have shape {known.shape}; there must be one for each of {len(rows)} rows.")
    if not (known != NOISE).any():
        raise ValueError("All rows are noise, so there is no cluster to show.")
    return rows, known.astype(np.int64)


def _by_size(labels: IntArray) -> IntArray:
    """Return the clusters, the largest first; of equally large ones the lower label."""
    found, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    return np.asarray(found[np.argsort(-sizes, kind="stable")])


def _spectrum(unit: FloatArray, n_values: int) -> FloatArray:
    """Return the largest singular values of rows (n, d), divided by the first; of zero rows all are 0."""
    n, d = unit.shape
    n_kept = min(n_values, n, d)
    if n <= d:
        values = np.linalg.svd(unit.astype(np.float64), compute_uv=False)
    else:
        gram = np.zeros((d, d))
        for chunk in iter_chunks(n, _CHUNK_ROWS):
            block = unit[chunk].astype(np.float64)
            gram += block.T @ block
        values = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0))
    return (values[:n_kept] / (values[0] if values[0] > 0 else 1)).astype(np.float32)


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(value), 4) for value in values]
