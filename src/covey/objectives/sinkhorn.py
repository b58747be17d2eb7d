"""From similarities to a doubly stochastic membership, by Sinkhorn's iteration on logarithms."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covey.errors import ConvergenceError


class Potentials(NamedTuple):
    """What Sinkhorn's iteration finds: the membership is exp(S + rows_i + columns_j).

    Attributes
    ----------
    rows : Tensor of shape (n,)
        The last ones, with which rows sum to 1.
    columns : Tensor of shape (m,)
        The last ones before that.
    """

    rows: Tensor
    columns: Tensor


def similarity_scores(C: Tensor, other: Tensor | None = None, *, gamma: float, absolute: bool = True) -> Tensor:
    """Compute the scores from which a membership is made.

    Parameters
    ----------
    C : Tensor of shape (n, d)
        Codes, unit rows.
    other : Tensor of shape (m, d), default=None
        Codes to compare with; None is `C`.
    gamma : float
        Regularisation γ: larger makes memberships more even.
    absolute : bool, default=True
        Whether opposite codes are as alike as equal ones: a group is a subspace. The authors' code does so, where the
        paper prints CᵀC.

    Returns
    -------
    scores : Tensor of shape (n, m)
        |C C'ᵀ| / γ. The diagonal is kept, as in the authors' code.

    Raises
    ------
    ValueError
        If `gamma` is not positive.
    """
    if not gamma > 0:
        raise ValueError(f"gamma is {gamma}; it must be larger than 0.")
    cosine = C @ (C if other is None else other).T
    return (cosine.abs() if absolute else cosine) / gamma


@torch.no_grad()
def sinkhorn_potentials(scores: Tensor, *, n_half_steps: int = 5) -> Potentials:
    """Find the factors that make a matrix nearly doubly stochastic.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Logarithms of the matrix.
    n_half_steps : int, default=5
        Scalings of rows or columns: rows, columns, rows, ... An odd number, so that rows come last.

    Returns
    -------
    potentials : Potentials
        Without gradient.

    Raises
    ------
    ValueError
        If `n_half_steps` is not a positive odd number.

    Notes
    -----
    Rows sum to 1 and columns, at the limit, to n / m. Sinkhorn [1]_ on logarithms. The paper's "Iter 5" are five half
    steps in the authors' code, three of rows and two of columns; columns then sum to 1 within a tenth.

    References
    ----------
    .. [1] M. Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013.
    """
    check_half_steps(n_half_steps)
    log_share = math.log(len(scores) / scores.shape[1])
    columns = scores.new_zeros(scores.shape[1])
    rows = -scores.logsumexp(dim=1)
    for _ in range(n_half_steps // 2):
        columns = log_share - (scores + rows[:, None]).logsumexp(dim=0)
        rows = -(scores + columns).logsumexp(dim=1)
    return Potentials(rows, columns)


def doubly_stochastic(scores: Tensor, *, n_half_steps: int = 5) -> Tensor:
    """Project similarities to a doubly stochastic membership.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        From `similarity_scores`.
    n_half_steps : int, default=5
        Scalings of rows or columns; odd. 1 is a softmax of rows.

    Returns
    -------
    membership : Tensor of shape (n, m)
        Π. Rows sum to 1, columns nearly to n / m.

    Raises
    ------
    ValueError
        If `n_half_steps` is not a positive odd number.
    ConvergenceError
        If the scores hold NaN or infinity.

    Notes
    -----
    Eq. 3 of [1]_ and the projection below it. The gradient is that of one row softmax in which the column potentials
    are constant. That is the gradient of the authors' code too, which cuts it at each column step, after which each
    row step undoes the one before; it needs a fifth of the memory.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.

    Examples
    --------
    >>> doubly_stochastic(torch.zeros(2, 2)).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    columns = sinkhorn_potentials(scores, n_half_steps=n_half_steps).columns
    membership = (scores + columns).softmax(dim=1)
    if not bool(membership.isfinite().all()):
        raise ConvergenceError(
            "The membership has no value: the scores hold NaN or infinity. Lower the learning rate, or raise gamma."
        )
    return membership


def check_half_steps(n_half_steps: int) -> None:
    """Raise unless the number of half steps is odd, so that the iteration ends on rows.

    Raises
    ------
    ValueError
        If it is even or not positive.
    """
    if n_half_steps < 1 or n_half_steps % 2 == 0:
        raise ValueError(f"n_half_steps is {n_half_steps}; it must be odd (1, 3, 5, ...): rows are scaled last.")
