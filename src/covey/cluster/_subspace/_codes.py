"""Codes: which other rows write each row, and with what coefficients; and the affinity that they give."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from covey._torch import to_numpy

_BLOCK_ENTRIES = {"cpu": 2**24, "cuda": 2**28}
"""Most entries of a block's products with all rows, and of the rows that are gathered for it."""


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
        """Put the codes of blocks of rows below one another."""
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
