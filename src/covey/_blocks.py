"""Matrix products by blocks and the largest entries of their rows, for searches that hold no full matrix of scores.

Torch alone; what NumPy needs of the kind is `covey._arrays.iter_blocks` and `covey._arrays.top_places`.
"""

from math import sqrt

import torch
from torch import Tensor

from covey._arrays import iter_chunks

ALIGNMENT = 64
"""Row lengths that are a multiple of this can be split into groups at every level."""
_MATRIX_UNIT = 32
"""How many columns a matrix unit multiplies at once."""
_MAX_COLUMNS = 2**16
"""Most columns of one block of scores."""


def pad_rows(rows: Tensor, dtype: torch.dtype, *, n_extra: int = 0) -> Tensor:
    """Copy rows into an operand of aligned shape, filled up with zeros.

    Parameters
    ----------
    rows : Tensor of shape (n, d), dtype float32
        Rows.
    dtype : torch.dtype
        Of the operand.
    n_extra : int, default=0
        Columns of zeros after the d features that the caller fills.

    Returns
    -------
    operand : Tensor of shape (n', d')
        n' is the next multiple of `ALIGNMENT` from n on, d' the next multiple of the matrix unit's 32 from
        d + `n_extra` on.
    """
    n, d = rows.shape
    width = d + n_extra
    operand = torch.zeros((n + -n % ALIGNMENT, width + -width % _MATRIX_UNIT), dtype=dtype, device=rows.device)
    operand[:n, :d] = rows
    return operand


def block_width(n_columns: int) -> int:
    """Return how many columns of scores `top_products` holds at once."""
    return min(n_columns, _MAX_COLUMNS)


def top_products(
    left: Tensor,
    right: Tensor,
    n_top: int,
    *,
    bias: Tensor | None = None,
    own: Tensor | None = None,
    workspace: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the largest entries in each row of ``left @ right.T + bias`` without holding more than a block of it.

    Parameters
    ----------
    left : Tensor of shape (b, d)
        As many rows as the workspace allows; take them by `covey._arrays.iter_blocks`.
    right : Tensor of shape (n, d), same dtype
        Rows to compare with.
    n_top : int
        How many entries, at most n.
    bias : Tensor of shape (n,), optional
        Added to the columns.
    own : Tensor of shape (b,), dtype int64, optional
        A column of each row that counts as minus infinity: a row among `right` that is the row of `left` itself.
    workspace : Tensor of shape (at least b * block_width(n),), same dtype, optional
        Where the scores of a block are held, so that a loop allocates them once.

    Returns
    -------
    values : Tensor of shape (b, n_top)
        The entries, largest first; float32 where the dtype is bfloat16.
    indices : Tensor of shape (b, n_top), dtype int64
        Their columns. Which of several equal entries are taken at the edge is not specified.
    """
    values, indices = [], []
    for columns in iter_chunks(len(right), _MAX_COLUMNS):
        # One block of scores, (b, width), with the rows' own columns out of the way.
        scores = _multiply(left, right[columns].T, None if bias is None else bias[columns], workspace)
        if own is not None:
            rows = torch.nonzero((own >= columns.start) & (own < columns.stop)).squeeze(1)
            scores[rows, own[rows] - columns.start] = -torch.inf
        # Its largest entries, (b, at most n_top), from which the last step takes the largest of all blocks.
        top, places = top_scores(scores, min(n_top, scores.shape[1]))
        values.append(top.float() if top.dtype == torch.bfloat16 else top)
        indices.append(places + columns.start)
    best = torch.topk(torch.cat(values, dim=1), n_top, dim=1)
    return best.values, torch.cat(indices, dim=1).gather(1, best.indices)


def top_scores(scores: Tensor, n_top: int) -> tuple[Tensor, Tensor]:
    """Find the largest entries of each row, in no particular order, faster than by sorting.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_columns)
        `n_columns` is a multiple of `ALIGNMENT`, or short.
    n_top : int
        How many entries, at most `n_columns`.

    Returns
    -------
    values, indices : Tensor of shape (n_rows, n_top)
        The entries and their columns. Which of several equal entries are taken at the edge is not specified.

    Notes
    -----
    Columns are split into groups; the `n_top` largest entries lie within the `n_top` groups of largest maxima, because
    each of these groups holds an entry at least as large as anything elsewhere. So one pass of maxima, which runs at
    the speed of memory, leaves a small part to be searched in the same way. On rows of 50,000 and 64 wanted this takes
    less than half the time of ``torch.topk``.
    """
    n_rows, n_columns = scores.shape
    group_size = _group_size(n_columns, n_top)
    if group_size == 1:
        return torch.topk(scores, n_top, dim=1, sorted=False)
    n_groups = n_columns // group_size
    groups = scores.view(n_rows, group_size, n_groups)  # column j is in group j mod n_groups
    # The groups of largest maxima, (n_rows, n_top), and their entries, (n_rows, group_size * n_top).
    best = torch.topk(groups.amax(dim=1), n_top, dim=1, sorted=False).indices
    kept = groups.gather(2, best[:, None, :].expand(n_rows, group_size, n_top)).view(n_rows, group_size * n_top)
    # The largest of these, and the columns they came from.
    values, places = top_scores(kept, n_top)
    return values, (places // n_top) * n_groups + best.gather(1, places % n_top)


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None, workspace: Tensor | None) -> Tensor:
    """Return ``left @ right + bias``, (b, width), in the workspace if there is one."""
    if workspace is None:
        return left @ right if bias is None else torch.addmm(bias, left, right)
    scores = workspace[: len(left) * right.shape[1]].view(len(left), -1)
    return torch.mm(left, right, out=scores) if bias is None else torch.addmm(bias, left, right, out=scores)


def _group_size(n_columns: int, n_top: int) -> int:
    """Return the power of two near sqrt(n_columns / n_top), which makes both halves of the work small; 1 to stop."""
    if n_columns < 8 * n_top:
        return 1
    size = 2
    while size * 2 <= min(sqrt(n_columns / n_top) * 1.5, ALIGNMENT):
        size *= 2
    return size if n_columns % size == 0 else 1
