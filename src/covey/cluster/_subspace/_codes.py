"""What EnSC and SSC-OMP share: the search for the rows that correlate most, sparse codes, and the affinity they give.

Writing a row by others asks again and again which of n rows has the largest |<r, x_j>|, and how large at most the rest
is. A product in bfloat16 gives both up to an error that has a bound; the few that it names are compared in float32.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array, vstack
from torch import Tensor

from covey._arrays import iter_chunks
from covey._blocks import pad_rows, top_scores
from covey._torch import matmul_dtype, to_numpy

AffinityKind = Literal["symmetric", "neighbors"]

_BLOCK_ENTRIES = {"cpu": 2**24, "cuda": 2**28}
"""Most entries of a block's products with all rows, and of the rows that are gathered for it."""
_BLOCK_ROWS = 1024
_N_NEIGHBORS = 3
_FEWEST_ROWS = 4096  # below, rounding and comparing costs more than the product
_ROUNDING = 2.0**-9  # of a bfloat16, relative


def block_height(n_columns: int, n_gathered: int, device_type: str) -> int:
    """Return how many rows to treat at once: each takes `n_columns` entries, and `n_gathered` for its support."""
    return max(1, _BLOCK_ENTRIES[device_type] // max(n_columns, n_gathered))


class Codes(NamedTuple):
    """Sparse codes of rows in all other rows.

    Attributes
    ----------
    indices : Tensor of shape (n, width), dtype int64
        Rows that write row i; -1 where there is none.
    coefficients : Tensor of shape (n, width), dtype float32
        Their coefficients; 0 where there is none.
    residuals : Tensor of shape (n,), dtype float32
        How far each code is from its goal; the function that made it says in what unit.
    """

    indices: Tensor
    coefficients: Tensor
    residuals: Tensor

    @classmethod
    def stack(cls, blocks: Sequence[Self]) -> Self:
        """Stack the codes of blocks of rows."""
        width = max(block.indices.shape[1] for block in blocks)
        pad = torch.nn.functional.pad
        return cls(
            torch.cat([pad(block.indices, (0, width - block.indices.shape[1]), value=-1) for block in blocks]),
            torch.cat([pad(block.coefficients, (0, width - block.indices.shape[1])) for block in blocks]),
            torch.cat([block.residuals for block in blocks]),
        )

    def of(self, rows: Tensor) -> Self:
        """Keep some rows, by numbers or a mask."""
        return type(self)(*(part[rows] for part in self))

    def to_sparse(self) -> Any:
        """Return the coefficients as a csr_array of shape (n, n), dtype float64, without stored zeros."""
        indices, values = to_numpy(self.indices), to_numpy(self.coefficients).astype(np.float64)
        is_kept = (indices >= 0) & (values != 0)
        ends = np.concatenate([[0], np.cumsum(is_kept.sum(axis=1))])
        return csr_array((values[is_kept], indices[is_kept], ends), shape=(len(indices), len(indices)))


class Strongest(NamedTuple):
    """Rows with the largest |<r, x_j>| for each of b vectors r, strongest first.

    Attributes
    ----------
    indices : Tensor of shape (b, n_wanted), dtype int64
        Which rows.
    sizes : Tensor of shape (b, n_wanted), dtype float32
        |<r, x_j>| of these, from the product.
    margin : Tensor of shape (b,), dtype float32
        By how much a product may be wrong: no row that was left out exceeds the last size by more.
    """

    indices: Tensor
    sizes: Tensor
    margin: Tensor

    @property
    def ceiling(self) -> Tensor:
        """Return what no row that was left out exceeds, (b,)."""
        return self.sizes[:, -1] + self.margin


class Atoms(NamedTuple):
    """All rows, as they are compared with others.

    Attributes
    ----------
    rows : Tensor of shape (n, d), dtype float32
        Unit rows, or zero ones.
    rounded : Tensor of shape (n + padding, d + padding), dtype bfloat16, or None
        The same for quick products; None where they would not be quicker.
    """

    rows: Tensor
    rounded: Tensor | None

    @classmethod
    def prepare(cls, X: Tensor, *, precision: str = "auto") -> Self:
        """Round rows (n, d) where the device multiplies bfloat16 quickly, and there are enough of them."""
        if len(X) < _FEWEST_ROWS or matmul_dtype(X.device, precision) != torch.bfloat16:
            return cls(X, None)
        return cls(X, pad_rows(X, torch.bfloat16))

    def strongest(self, vectors: Tensor, excluded: Tensor, n_wanted: int, *, exact: bool = False) -> Strongest:
        """Find the rows that correlate most with vectors (b, d), except the excluded rows (b, n_excluded) of each.

        `exact` asks for float32 products, of which the margin is 0.
        """
        n, d = self.rows.shape
        if exact or self.rounded is None:
            sizes = (vectors @ self.rows.T).abs_().scatter_(1, excluded, -1)
            top = sizes.topk(n_wanted, dim=1)
            return Strongest(top.indices, top.values, torch.zeros_like(top.values[:, 0]))
        # Rounded |<r, x_j>|, (b, n + padding), then the largest of each row with their error.
        left = torch.zeros(len(vectors), self.rounded.shape[1], dtype=torch.bfloat16, device=vectors.device)
        left[:, :d] = vectors
        sizes = (left @ self.rounded.T).abs_()
        sizes[torch.arange(len(sizes), device=sizes.device)[:, None], excluded] = -1  # scatter_ is slow on bfloat16
        sizes[:, n:] = -1
        values, indices = top_scores(sizes, n_wanted)
        order = values.sort(dim=1, descending=True)
        largest = order.values.float()
        # Both factors are rounded, then the sum: |error| <= 2 u |r| |x_j|, by Cauchy and Schwarz, and u of the result.
        margin = 2.01 * _ROUNDING * vectors.norm(dim=1) + 1.01 * _ROUNDING * largest[:, 0]
        return Strongest(indices.gather(1, order.indices), largest, margin)

    def correlate(self, vectors: Tensor, indices: Tensor) -> Tensor:
        """Return <r, x_j> in float32 for vectors (b, d) and rows (b, m) of each."""
        return (self.take(indices) @ vectors[..., None])[..., 0]

    def take(self, indices: Tensor) -> Tensor:
        """Return rows (b, m, d) for indices (b, m)."""
        return self.rows.index_select(0, indices.flatten()).view(*indices.shape, -1)


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
    Both as in the authors' code of EnSC and SSC-OMP; but codes without anything in common are not neighbors.
    """
    # Unit codes: c_i / |c_i|, (n, n).
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
