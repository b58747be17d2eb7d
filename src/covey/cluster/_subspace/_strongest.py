"""The rows that correlate most with given ones: quick products first, then exact ones where it matters.

Writing a row by others asks again and again which of n rows has the largest |<r, x_j>|, and how large at most the rest
is. A product in bfloat16 tells both up to an error that has a bound; the few that are named are compared in float32.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from covey._blocks import pad_rows, top_scores
from covey._torch import matmul_dtype

_FEWEST_ROWS = 4096  # below, rounding and comparing costs more than the product
_ROUNDING = 2.0**-9  # of a bfloat16, relative


class Strongest(NamedTuple):
    """Rows with the largest |<r, x_j>| for each of b vectors r, strongest first.

    Attributes
    ----------
    indices : Tensor of shape (b, n_wanted), dtype int64
        Which rows.
    sizes : Tensor of shape (b, n_wanted), dtype float32
        |<r, x_j>| of these, as the product has it.
    margin : Tensor of shape (b,), dtype float32
        By how much a product may be wrong: no row that was left out exceeds the last size by more.
    """

    indices: Tensor
    sizes: Tensor
    margin: Tensor

    @property
    def ceiling(self) -> Tensor:
        """What no row that was left out exceeds, (b,)."""
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
