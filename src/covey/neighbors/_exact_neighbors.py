"""Exact nearest neighbors by blocks of matrix products: quick candidates, then exact distances, then a proof.

The product gives an approximate score for each pair, in bfloat16 where the hardware multiplies it faster. A few more
candidates than wanted are kept for each row, and their distances computed from float32 differences. If the last wanted
candidate beats, by more than the product's error, everything that was left out, the row is done; the others are
searched again with float32 products, and the few that float32 cannot tell apart (many rows at one distance) are
compared one by one.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covey._arrays import iter_blocks, l2_normalize
from covey._blocks import block_width, pad_rows, top_products
from covey._torch import matmul_dtype, resolve_device, to_numpy, to_tensor
from covey.types import FloatArray, NeighborGraph

_TILE_BYTES = {"cpu": 2**27, "cuda": 2**30, "mps": 2**28}
"""Workspace for one block of scores, in bytes."""
_GATHER_BYTES = {"cpu": 2**19, "cuda": 2**28, "mps": 2**26}
"""Workspace for the rows of candidates, in bytes; on a CPU it has to stay in the second-level cache."""
_N_MORE = 4
"""Candidates beyond the neighbors where products are float32."""
_FLOAT32_ROUNDING = 2.0**-24
_BFLOAT16_ROUNDING = 2.0**-8


class _Space(NamedTuple):
    """Rows among which nearest means smallest squared distance |p_i - p_j|² + extra_i + extra_j."""

    points: Tensor  # (n, d) float32, centered
    squares: Tensor  # (n,): |p|² + extra
    extra: Tensor  # (n,): 1 for a row of zeros under cosine, else 0


class _Found(NamedTuple):
    """Neighbors of some rows, nearest first, and which rows are proved right."""

    indices: Tensor  # (r, n_neighbors)
    distances: Tensor  # (r, n_neighbors), squared
    is_proved: Tensor  # (r,)


class ExactEngine:
    """Exact search by blocks of matrix products, on a CPU or a GPU.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products that find candidates.
    device : str, default="auto"
        Where to compute.

    Notes
    -----
    O(n² d) time; besides the rows and an operand of the same shape, memory stays within a fixed workspace. A bfloat16
    product is trusted up to four standard deviations of its rounding error, a float32 product up to a bound on it;
    what is closer is compared by float32 differences, which come out the same wherever in a block a pair falls. So
    results depend neither on the block size nor on the precision. Many rows at one distance cost more: each row at the
    edge of a tie is compared with all that share it. Speed and recall are recorded in benchmarks/neighbors.csv.
    """

    def __init__(self, *, precision: str = "auto", device: str = "auto") -> None:
        self.device = resolve_device(device)
        self.dtype = matmul_dtype(self.device, precision)

    def neighbors(self, X: FloatArray, n_neighbors: int, metric: str) -> NeighborGraph:
        """Return the graph for rows of `X`; see `nearest_neighbors`."""
        # Squared distances in one space for both metrics; results are filled in as rows are proved, (n, n_neighbors).
        space = _make_space(X, metric, self.device)
        indices = torch.empty((len(X), n_neighbors), dtype=torch.int64, device=self.device)
        squared = torch.empty((len(X), n_neighbors), device=self.device)
        rows = torch.arange(len(X), device=self.device)
        for dtype in dict.fromkeys([self.dtype, torch.float32]):  # each pass takes the rows not yet proved
            if len(rows):
                found = _search(space, rows, n_neighbors, dtype)
                indices[rows], squared[rows] = found.indices, found.distances
                rows = rows[~found.is_proved]
        if len(rows):  # products in float32 cannot tell these rows' candidates apart
            _break_ties(space, rows, indices, squared)
        # |p - q|² / 2 = 1 - p · q for unit rows.
        distances = squared / 2 if metric == "cosine" else squared.sqrt()
        return NeighborGraph(to_numpy(indices), to_numpy(distances), metric)


def _make_space(X: FloatArray, metric: str, device: torch.device) -> _Space:
    """Place the rows so that nearest means smallest squared distance.

    For unit rows 1 - cosine is half the squared distance. A row of zeros is not a unit row: an extra 1 puts it at
    squared distance 1 + 1 from every other, cosine 0. Centering changes no distance; it makes products, and so their
    errors, small.
    """
    rows = l2_normalize(X) if metric == "cosine" else X
    points = to_tensor(rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32), device)
    extra = torch.zeros(len(X), device=device)
    if metric == "cosine":
        extra += to_tensor(np.asarray(~X.any(axis=1)), device)
    return _Space(points, (points * points).sum(dim=1) + extra, extra)


def _search(space: _Space, rows: Tensor, n_neighbors: int, dtype: torch.dtype) -> _Found:
    """Find neighbors of `rows` among all rows with products in `dtype`."""
    (n, d), device = space.points.shape, space.points.device
    # Rounding moves more rows past the last neighbor in bfloat16 than in float32.
    n_more = max(8, n_neighbors // 4) if dtype == torch.bfloat16 else _N_MORE
    n_candidates = min(n_neighbors + n_more, n - 1)
    right, bias = _operand(space, dtype)
    width = block_width(len(right))
    row_bytes = width * right.element_size()
    height = max(1, _TILE_BYTES[device.type] // row_bytes)
    workspace = torch.empty(height * width, dtype=dtype, device=device)
    found = []
    for chunk in iter_blocks(len(rows), row_bytes, _TILE_BYTES[device.type]):
        # Candidates by products, (b, n_candidates); what was left out scores at most `bound`, (b,).
        left = right[rows[chunk]]
        if bias is None:
            left[:, d : d + 2] = 1
        scores, candidates = top_products(left, right, n_candidates, bias=bias, own=rows[chunk], workspace=workspace)
        bound = scores[:, -1]
        # Neighbors by float32 differences, (b, n_neighbors).
        indices, distances = _by_distance(space, rows[chunk], candidates, n_neighbors)
        # Proved where the last neighbor beats the bound by more than the product's error, (b,).
        margin = _scores(space, rows[chunk], distances[:, -1]) - bound
        is_proved = margin > _tolerance(space, rows[chunk], bound, dtype)
        found.append(_Found(indices, distances, is_proved | (n_candidates == n - 1)))
    return _Found(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _operand(space: _Space, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return rows (n', d') and a bias (n',) so that p_i · p_j - (|p_j|² + extra_j)/2 is largest for the nearest j.

    In bfloat16 there is no bias: it would have too few digits, so it is two more columns, with 1, 1 in their place on
    the left. The rows that `pad_rows` adds are so far away that they are not a neighbor of any row.
    """
    n, d = space.points.shape
    half = space.squares / -2
    if dtype == torch.float32:
        right = pad_rows(space.points, dtype)
        bias = torch.full((len(right),), torch.finfo(dtype).min, device=right.device)
        bias[:n] = half
        return right, bias
    right = pad_rows(space.points, dtype, n_extra=2)
    right[:n, d] = half
    right[:n, d + 1] = half - right[:n, d].float()
    right[n:, d] = torch.finfo(dtype).min
    return right, None


def _by_distance(space: _Space, rows: Tensor, candidates: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor]:
    """Return the nearest candidates and their squared distances; of equal ones the lower index comes first."""
    candidates = candidates.sort(dim=1).values
    distances, order = _squared_distances(space, rows, candidates).sort(dim=1, stable=True)
    return candidates.gather(1, order)[:, :n_neighbors], distances[:, :n_neighbors]


def _squared_distances(space: _Space, rows: Tensor, candidates: Tensor) -> Tensor:
    """Compute squared distances from differences, shape (b, n_candidates)."""
    n_candidates, d = candidates.shape[1], space.points.shape[1]
    distances = torch.empty(candidates.shape, device=rows.device)
    own, row_bytes, workspace_bytes = space.points[rows, None], n_candidates * d * 4, _GATHER_BYTES[rows.device.type]
    # One buffer for all blocks: allocating one each time costs more than filling it.
    buffer = own.new_empty(max(1, workspace_bytes // row_bytes) * n_candidates, d)
    for chunk in iter_blocks(len(rows), row_bytes, workspace_bytes):
        picked = candidates[chunk].flatten()
        gathered = torch.index_select(space.points, 0, picked, out=buffer[: len(picked)]).view(-1, n_candidates, d)
        gathered -= own[chunk]
        torch.sum(gathered.square_(), dim=2, out=distances[chunk])
    is_zero = (space.extra[rows, None] + space.extra[candidates]) > 0
    return distances.masked_fill_(is_zero, 2.0)  # exactly, so that these are ties


def _scores(space: _Space, rows: Tensor, distances: Tensor) -> Tensor:
    """Return what the product would be, without its error, for these squared distances."""
    return (space.squares[rows] - distances) / 2


def _tolerance(space: _Space, rows: Tensor, bound: Tensor, dtype: torch.dtype) -> Tensor:
    """Bound the error of scores near `bound`, shape (b,).

    Rounding the inputs with relative error u shifts Σ p q by a random sum of standard deviation at most
    u · sqrt(2/3) · max|p| · |q|, of which four are allowed; rounding the output by u · |score|. A float32 product adds
    the error of its d sums in any case.
    """
    points = space.points[rows]
    reach = space.squares.max().sqrt()
    tolerance: Tensor = 4 * _FLOAT32_ROUNDING * space.points.shape[1] ** 0.5 * reach * (points.norm(dim=1) + reach)
    # A caller may have allowed torch to round float32 products too.
    if dtype == torch.bfloat16 or torch.get_float32_matmul_precision() != "highest":
        tolerance += _BFLOAT16_ROUNDING * (3.3 * points.abs().amax(dim=1) * reach + bound.abs())
        tolerance += _BFLOAT16_ROUNDING**2 * reach**2
    return tolerance


def _break_ties(space: _Space, rows: Tensor, indices: Tensor, squared: Tensor) -> None:
    """Compare every row that could be a neighbor of `rows` by its exact distance; write into the results."""
    n_neighbors = indices.shape[1]
    for chunk in iter_blocks(len(rows), 4 * len(space.points), _TILE_BYTES[rows.device.type]):
        # Scores in float32, (b, n), and which of them may belong to a neighbor.
        own = rows[chunk]
        scores = torch.addmm(space.squares / -2, space.points[own], space.points.T)
        scores[torch.arange(len(own)), own] = -torch.inf
        reached = _scores(space, own, squared[own, -1])
        is_possible = scores >= (reached - _tolerance(space, own, reached, torch.float32))[:, None]
        for place, row in enumerate(own):
            candidates = torch.nonzero(is_possible[place]).T  # (1, n_possible)
            indices[row], squared[row] = _by_distance(space, own[place : place + 1], candidates, n_neighbors)
