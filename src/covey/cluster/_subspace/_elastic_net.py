"""The elastic net of every row in all other rows, by blocks of rows, each with a certificate of optimality.

A row needs few others. So a small problem is solved among the rows that correlate most, and its optimality is then
checked against all rows by one matrix product; whoever violates it joins, until nobody does.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.cluster._subspace._codes import Codes, block_height

_MAX_ROUNDS = 40
_MAX_ITERATIONS = 12
"""Of a small problem in a round: whoever needs more goes on in the next, with better candidates."""
_GREEDY_UPDATES = 8
_NEWTON_STEPS = 2
_INNER = 0.5  # of the tolerance, for the small problems
_RIDGE = 1e-5  # of the curvature, where the others give none


class _Net(NamedTuple):
    """What to solve for: min_c tau |c|_1 + (1 - tau)/2 |c|² + weight/2 |x - c A|², and how well."""

    gamma: float
    tau: float
    tol: float  # relative to tau


class _Open(NamedTuple):
    """Rows whose codes are not optimal yet, (r,), their candidates (r, m), and the codes among these."""

    rows: Tensor
    weight: Tensor
    indices: Tensor
    c: Tensor

    def of(self, rows: Any) -> Self:
        """Keep some of the rows, by numbers, a mask or a slice."""
        return type(self)(*(part[rows] for part in self))


def elastic_net(X: Tensor, *, gamma: float, tau: float, tol: float, n_candidates: int) -> Codes:
    """Write each row by other rows with the smallest elastic-net objective.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Unit rows, or zero ones.
    gamma : float
        Weight of the residual, in units of the weight below which the code is zero.
    tau : float in (0, 1]
        Share of the absolute values in the penalty.
    tol : float
        Largest violation of the optimality conditions, relative to `tau`.
    n_candidates : int
        How many of the most correlated rows are tried first.

    Returns
    -------
    codes : Codes
        Coefficients; the residuals are the largest violations over *all* rows, relative to `tau`. One above `tol`
        belongs to a row that float32 or 40 rounds could not bring there.

    Notes
    -----
    For row x the code minimises tau |c|_1 + (1 - tau)/2 |c|² + 1/(2 lam) |x - c X|² without x itself, where
    lam = max_j |<x_j, x>| / (tau gamma): eq. 2 of You, Li, Robinson and Vidal, "Oracle based active set algorithm for
    scalable elastic net subspace clustering", CVPR 2016, with the scaling of the authors' code. The conditions are
    <r, x_j> / lam - (1 - tau) c_j = tau sign(c_j) where c_j is not zero, and |<r, x_j>| / lam <= tau elsewhere.
    Two products (block, d) x (d, n) at the least, O(n² d) time in all; memory O(n n_candidates) for the open codes and
    O(block x n) for a block, which is chosen to stay within a fixed workspace.
    """
    net, n_wanted = _Net(gamma, tau, tol), min(n_candidates, len(X) - 1)
    rows = torch.arange(len(X), device=X.device)
    open_ = _join([_start(X, rows[chunk], net, n_wanted) for chunk in _iter_blocks(X, len(X), n_wanted)])
    closed: list[tuple[Tensor, Codes]] = []
    for round_ in range(_MAX_ROUNDS):
        n_wanted = min(len(X) - 1, max(n_candidates, 3 * int((open_.c != 0).sum(dim=1).max())))
        still_open = []
        for chunk in _iter_blocks(X, len(open_.rows), n_wanted):
            block, pull, violation = _solve_and_check(X, open_.of(chunk), net)
            is_done = (violation <= tol) | (round_ + 1 == _MAX_ROUNDS)
            closed.append((block.rows[is_done], Codes(block.indices, block.c, violation).of(is_done)))
            still_open.append(_next_candidates(block.of(~is_done), pull[~is_done], n_wanted))
        open_ = _join(still_open)
        if not len(open_.rows):
            break
    return Codes.stack([codes for _, codes in closed]).of(torch.cat([rows for rows, _ in closed]).argsort())


def _iter_blocks(X: Tensor, n_rows: int, n_candidates: int) -> Iterator[slice]:
    """Yield blocks of `n_rows` rows, small enough for their candidates, Gram matrices and products with `X`."""
    height = block_height(len(X), n_candidates * max(X.shape[1], n_candidates), X.device.type)
    return iter_chunks(n_rows, height)


def _join(blocks: list[_Open]) -> _Open:
    return _Open(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def _start(X: Tensor, rows: Tensor, net: _Net, n_candidates: int) -> _Open:
    """Begin with codes of zero; the candidates are the rows that correlate most with each."""
    correlations = (X[rows] @ X.T).scatter_(1, rows[:, None], 0)
    largest = correlations.abs().amax(dim=1)
    weight = torch.where(largest > 0, net.gamma * net.tau / largest, 0)
    nothing = X.new_zeros(len(rows), 0)
    return _next_candidates(_Open(rows, weight, nothing.long(), nothing), correlations, n_candidates)


def _solve_and_check(X: Tensor, block: _Open, net: _Net) -> tuple[_Open, Tensor, Tensor]:
    """Improve the codes of a block among its candidates; also return <r, x_j> / lam for all j, and the violations."""
    own, atoms = X[block.rows], X[block.indices]
    gram = (atoms @ atoms.mT).mul_(block.weight[:, None, None])
    target = (atoms @ own[..., None])[..., 0] * block.weight[:, None]
    c = _solve_small(gram, target, block.c, net)
    residual = own - (c[:, None] @ atoms)[:, 0]
    pull = (residual @ X.T).mul_(block.weight[:, None]).scatter_(1, block.rows[:, None], 0)
    inside = _violations(pull.gather(1, block.indices), c, net.tau).amax(dim=1)
    outside = pull.abs().scatter_(1, block.indices, 0).amax(dim=1) - net.tau
    return block._replace(c=c), pull, torch.maximum(inside, outside).clamp(min=0) / net.tau


def _next_candidates(block: _Open, pull: Tensor, n_candidates: int) -> _Open:
    """Keep the used rows of each code as candidates, and add those with the largest |<r, x_j>|."""
    everywhere = torch.zeros_like(pull).scatter_(1, block.indices, block.c)
    urgency = pull.abs().masked_fill_(everywhere != 0, torch.inf).scatter_(1, block.rows[:, None], -1)
    indices = torch.topk(urgency, n_candidates, dim=1).indices
    return block._replace(indices=indices, c=everywhere.gather(1, indices))


def _violations(pull: Tensor, c: Tensor, tau: float) -> Tensor:
    """Return by how much each coefficient (b, m) violates its optimality condition; negative if it holds."""
    return torch.where(c != 0, (pull - (1 - tau) * c - tau * c.sign()).abs(), pull.abs() - tau)


def _solve_small(gram: Tensor, target: Tensor, c: Tensor, net: _Net) -> Tensor:
    """Minimise tau |c|_1 + (1 - tau)/2 |c|² + c gram c / 2 - target c for each code, gram (b, m, m).

    Greedy coordinate descent finds the signs, and Newton steps among what is used go to the optimum for these signs.
    Neither ever raises the objective.
    """
    c = c.clone()
    places = torch.arange(len(c), device=c.device)
    for _ in range(_MAX_ITERATIONS):
        part = _greedy_descent(gram, target, c[places], net.tau)
        for _ in range(_NEWTON_STEPS):
            part = _newton_step(gram, target, part, net.tau)
        c[places] = part
        pull = target - (gram @ part[..., None])[..., 0]
        is_open = _violations(pull, part, net.tau).amax(dim=1) > _INNER * net.tol * net.tau
        if not is_open.any():
            break
        if not is_open.all():
            places, gram, target = places[is_open], gram[is_open], target[is_open]
    return c


def _greedy_descent(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Minimise over the coordinate that violates its condition most, a few times, for all codes at once."""
    pull = target - (gram @ c[..., None])[..., 0]
    diagonal = gram.diagonal(dim1=1, dim2=2)
    own = torch.arange(len(c), device=c.device)
    c = c.clone()
    for _ in range(_GREEDY_UPDATES):
        j = _violations(pull, c, tau).argmax(dim=1)
        old, curvature = c[own, j], diagonal[own, j]
        new = torch.nn.functional.softshrink(pull[own, j] + curvature * old, tau)
        new /= (curvature + (1 - tau)).clamp(min=torch.finfo(c.dtype).tiny)
        c[own, j] = new
        pull -= gram[own, j] * (new - old)[:, None]
    return c


def _newton_step(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Go towards the optimum for the signs of `c` among its used coordinates.

    Either as far as all signs hold, or all the way with the coordinates that change sign put to zero, whichever is
    lower.
    """
    width = int((c != 0).sum(dim=1).max())
    if not width:
        return c
    used = (c != 0).float().topk(width, dim=1).indices
    small = gram[torch.arange(len(c), device=c.device)[:, None, None], used[:, :, None], used[:, None, :]]
    wanted, start = target.gather(1, used), c.gather(1, used)
    is_used = start != 0
    slope = wanted - (small @ start[..., None])[..., 0] - (1 - tau) * start - tau * start.sign()
    curvature = small * (is_used[:, :, None] & is_used[:, None, :])
    ridge = torch.where(is_used, 1 - tau + _RIDGE * small.diagonal(dim1=1, dim2=2), 1)
    curvature.diagonal(dim1=1, dim2=2).add_(ridge)
    factor, is_failed = torch.linalg.cholesky_ex(curvature)
    step = torch.cholesky_solve(torch.where(is_used, slope, 0)[..., None], factor)[..., 0]
    step = torch.where((is_failed == 0)[:, None], step, 0)
    crosses = is_used & ((start + step) * start <= 0)
    share = torch.where(crosses, -start / torch.where(crosses, step, 1), 1)
    first = share.amin(dim=1, keepdim=True)
    near = torch.where(crosses & (share == first), 0, start + first * step)
    far = torch.where(crosses, 0, start + step)
    is_lower = _objective(small, wanted, far, tau) < _objective(small, wanted, near, tau)
    return c.scatter(1, used, torch.where(is_lower[:, None], far, near))


def _objective(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Return the objective of codes (b, m) up to a constant of each row, shape (b,)."""
    quadratic = 0.5 * (gram @ c[..., None])[..., 0] + 0.5 * (1 - tau) * c - target
    return (quadratic * c).sum(dim=1) + tau * c.abs().sum(dim=1)
