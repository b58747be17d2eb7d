"""Codes become a symmetric, sparse affinity."""

from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array, diags_array, vstack

from covey._arrays import iter_chunks

AffinityKind = Literal["symmetric", "neighbors"]

_BLOCK_ROWS = 1024
_N_NEIGHBORS = 3


def code_affinity(codes: Any, *, kind: AffinityKind = "symmetric") -> Any:
    """Turn sparse codes into an affinity.

    Parameters
    ----------
    codes : csr_array of shape (n, n)
        Coefficients of each row; rows are scaled to unit length here.
    kind : {"symmetric", "neighbors"}, default="symmetric"
        ``"symmetric"``: (|C| + |C|ᵀ) / 2. ``"neighbors"``: each row is joined to the three rows whose codes have the
        largest inner product with its own, (A + Aᵀ) / 2 with A of zeros and ones.

    Returns
    -------
    affinity : csr_array of shape (n, n), dtype float64
        Symmetric and non-negative. A row with no code has an edge only where another uses it.

    Notes
    -----
    Both as in the authors' code of EnSC and SSC-OMP; but codes without anything in common are no neighbours.
    """
    lengths = np.sqrt(np.asarray(codes.multiply(codes).sum(axis=1)).ravel())
    unit = csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ codes)
    directed = abs(unit) if kind == "symmetric" else _nearest_codes(unit)
    return ((directed + directed.T) / 2).tocsr()


def _nearest_codes(unit: Any) -> Any:
    """Return a matrix of ones where a code is among the three most alike, of unit codes (n, n)."""
    blocks = []
    for chunk in iter_chunks(unit.shape[0], _BLOCK_ROWS):
        products = csr_array(unit[chunk] @ unit.T)
        products.setdiag(0, k=chunk.start)
        row_of = np.repeat(np.arange(products.shape[0]), np.diff(products.indptr))
        order = np.lexsort((products.indices, -products.data, row_of))  # within a row, the largest first
        rank = np.arange(len(order)) - products.indptr[row_of]
        kept = order[(rank < _N_NEIGHBORS) & (products.data[order] > 0)]
        blocks.append(csr_array((np.ones(len(kept)), (row_of[kept], products.indices[kept])), shape=products.shape))
    return csr_array(vstack(blocks))
