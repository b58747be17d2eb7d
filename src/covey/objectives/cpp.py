"""Every equation of CPP: coding rates, the doubly stochastic membership, and the loss that joins them.

`coding_rate` is eq. 1 (maximized alone, it is eq. 4), `cluster_coding_rate` eq. 2, `doubly_stochastic` eq. 3 and
`mlc_loss` the objective (MLC). `solve_gamma` is ours. The coding lengths of eqs. 5 and 7, by which the number of
clusters is chosen, are in `covey.objectives.coding_length`. Rates spread all rows (a large R) while they compress each
group (a small R^c). A group is a column of a membership matrix: of a few soft clusters, or of the square doubly
stochastic matrix of MLC, where each row of the batch has a group of its own. Rows are samples here; the paper's samples
are columns.

References
----------
.. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR 2024,
   arXiv:2306.05272.
.. [2] Ma, Derksen, Hong and Wright, "Segmentation of Multivariate Mixed Data via Lossy Data Coding and Compression",
   IEEE TPAMI, 2007.
.. [3] Yu et al., "Learning Diverse and Discriminative Representations via the Principle of Maximal Coding Rate
   Reduction", NeurIPS 2020.
.. [4] M. Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.errors import ConvergenceError

_BLOCK_ENTRIES = 2**21  # of weighted rows held at once; more is slower, since it leaves the cache
_GAMMA_RANGE = (1e-3, 10.0)  # of `solve_gamma`: memberships of one row alone, and of all rows alike


class MLCLoss(NamedTuple):
    """What `mlc_loss` computes, each a tensor of shape (), in nats.

    Attributes
    ----------
    total : Tensor
        The loss; smaller is better.
    rate : Tensor
        R(Z) of eq. 1.
    cluster_rate : Tensor
        R^c(Z, Π) of eq. 2, or its estimate from some columns.
    """

    total: Tensor
    rate: Tensor
    cluster_rate: Tensor


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


def coding_rate(Z: Tensor, *, eps_squared: float = 0.1) -> Tensor:
    """Compute the coding rate of all rows together.

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        Representation, one sample a row; usually of unit length. Half precision is taken to float32.
    eps_squared : float, default=0.1
        Squared distortion ε². Its root is the precision to which a row of unit length is coded.

    Returns
    -------
    rate : Tensor of shape ()
        In nats; never negative, larger when rows fill more directions.

    Raises
    ------
    ValueError
        If `Z` is not a matrix with rows, or `eps_squared` is not positive.
    ConvergenceError
        If the log-determinant has no value.

    Notes
    -----
    Eq. 1 of the paper with the factor of Ma et al. and of the authors' code:
    R = 1/2 log det(I + d / (n ε²) ZᵀZ). The paper prints it without the 1/2. Maximized alone, as in the warm-up, it is
    eq. 4. O(n d min(n, d)) time.

    Examples
    --------
    >>> round(float(coding_rate(torch.eye(2), eps_squared=0.5)), 4)  # two halves of log(1 + 2)
    1.0986
    """
    return cluster_coding_rate(Z, Z.new_ones(len(Z), 1), eps_squared=eps_squared)


def cluster_coding_rate(Z: Tensor, membership: Tensor, *, eps_squared: float = 0.1) -> Tensor:
    """Compute the coding rate of rows that are coded group by group.

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        Representation, one sample a row. Half precision is taken to float32.
    membership : Tensor of shape (n, k), not negative
        A column a group, π_j: the weights of the rows in it, soft or 0 and 1. MLC takes the n columns of a doubly
        stochastic matrix, or some of them.
    eps_squared : float, default=0.1
        Squared distortion ε².

    Returns
    -------
    rate : Tensor of shape ()
        In nats. If rows of `membership` sum to 1, never above `coding_rate`.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `eps_squared` is not positive.
    ConvergenceError
        If a log-determinant has no value: the input holds NaN or infinity, or lengths that float32 cannot hold.

    Notes
    -----
    R^c = Σ_j tr_j / (2n) log det(I + d / (tr_j ε²) Zᵀ diag(π_j) Z) with tr_j = Σ_i π_ij. This is the rate of
    MCR² (Yu et al.), and eq. 2 of the paper where tr_j = 1, for which the paper drops the 1/2. Departs from the
    authors' code, which adds 1e-8 to tr_j; here a group without weight costs nothing.

    O(k n d²) time, forward and backward together; if n < d, d is n but for the factor, which is exact: only the span
    of the rows takes part. Memory besides input and gradients does not grow with k. First derivatives only.
    """
    if Z.ndim != 2 or membership.ndim != 2 or len(Z) != len(membership) or 0 in Z.shape:
        raise ValueError(
            f"Z has shape {tuple(Z.shape)} and membership {tuple(membership.shape)}; they must be (n, d) and (n, k) "
            "with the same n, at least 1."
        )
    if not eps_squared > 0:
        raise ValueError(f"eps_squared is {eps_squared}; it must be larger than 0.")
    precision = torch.float64 if torch.float64 in (Z.dtype, membership.dtype) else torch.float32
    Z, membership = Z.to(precision), membership.to(precision)
    n_samples, n_features = Z.shape
    gain = n_features / eps_squared  # of the rows as they came, whatever the basis
    if n_samples < n_features:
        Z = Z @ torch.linalg.qr(Z.detach().T).Q  # (n, n); the determinant and its gradient live in the span of the rows
    rate: Tensor = _ClusterRate.apply(Z, membership, gain)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return rate


def similarity_scores(
    C: Tensor, other: Tensor | None = None, *, gamma: float | Tensor, absolute: bool = True
) -> Tensor:
    """Compute the scores from which a membership is made.

    Parameters
    ----------
    C : Tensor of shape (n, d)
        Codes, unit rows.
    other : Tensor of shape (m, d), default=None
        Codes to compare with; None is `C`.
    gamma : float or Tensor of shape ()
        Regularization γ: larger makes memberships more even.
    absolute : bool, default=True
        Whether opposite codes are as alike as equal ones: a group is a subspace. The authors' code does so, where the
        paper prints CᵀC.

    Returns
    -------
    scores : Tensor of shape (n, m)
        |C C'ᵀ| / γ, or C C'ᵀ / γ. The diagonal is kept, as in the authors' code.

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
def solve_gamma(cosines: Tensor, *, perplexity: float, n_bisections: int = 16) -> Tensor:
    """Find the regularization at which a row of the membership is spread over a given number of columns.

    Parameters
    ----------
    cosines : Tensor of shape (n, m)
        Similarities S, in [-1, 1].
    perplexity : float
        The exponential of the mean entropy of the rows of softmax(S / γ), in [1, m].
    n_bisections : int, default=16
        Halvings of the interval of log γ; 16 leave a relative error below 0.0002.

    Returns
    -------
    gamma : Tensor of shape ()
        γ in [0.001, 10], without gradient. A perplexity that lies beyond what these give is met as nearly as they can.

    Raises
    ------
    ValueError
        If `perplexity` is below 1 or above m.

    Notes
    -----
    Ours, in place of a γ that is the same for all features: docs/methods/cpp.md. The entropy of a softmax grows with γ,
    so bisection finds the only solution. No step waits for the device.
    """
    if not 1 <= perplexity <= cosines.shape[1]:
        raise ValueError(f"perplexity is {perplexity}; it must lie in [1, {cosines.shape[1]}], the number of columns.")
    target = math.log(perplexity)
    low, high = (cosines.new_tensor(math.log(end)) for end in _GAMMA_RANGE)
    for _ in range(n_bisections):
        middle = (low + high) / 2
        log_p = (cosines / middle.exp()).log_softmax(dim=1)  # (n, m)
        is_narrow = -(log_p.exp() * log_p).sum(dim=1).mean() < target
        low, high = torch.where(is_narrow, middle, low), torch.where(is_narrow, high, middle)
    return ((low + high) / 2).exp()


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
    Rows sum to 1 and columns, at the limit, to n / m. Sinkhorn's iteration (Cuturi) on logarithms. The paper's "Iter 5"
    are five half steps in the authors' code, three of rows and two of columns; columns then sum to 1 within a tenth.
    """
    check_half_steps(n_half_steps)
    # Half steps: u_i = -log Σ_j exp(S_ij + v_j), (n,), and v_j = log(n / m) - log Σ_i exp(S_ij + u_i), (m,).
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
    Eq. 3 of the paper and the projection below it. The gradient is that of one row softmax in which the column
    potentials are constant. That is the gradient of the authors' code too, which cuts it at each column step, after
    which each row step undoes the one before; it needs a fifth of the memory.

    Examples
    --------
    >>> doubly_stochastic(torch.zeros(2, 2)).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    columns = sinkhorn_potentials(scores, n_half_steps=n_half_steps).columns  # v, (m,), without gradient
    # Π = exp(S + u + v) with the last u, which makes rows sum to 1: a softmax of rows, (n, m).
    membership = (scores + columns).softmax(dim=1)
    if not bool(membership.isfinite().all()):
        raise ConvergenceError(
            "The membership has no value: the scores hold NaN or infinity. Lower the learning rate, or raise gamma."
        )
    return membership


def mlc_loss(
    Z: Tensor,
    membership: Tensor,
    *,
    eps_squared: float = 0.1,
    membership_penalty: float = 0.0,
    columns: Tensor | None = None,
) -> MLCLoss:
    """Compute the loss of MLC and CPP: the rate reduction, negated.

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        Representation, unit rows.
    membership : Tensor of shape (n, n)
        Doubly stochastic Π; column j is the group of row j.
    eps_squared : float, default=0.1
        Squared distortion ε².
    membership_penalty : float, default=0.0
        Weight of ‖Π‖²_F, which makes Π more even. The authors' code has it, at 0.025; the paper does not.
    columns : Tensor of shape (n_columns,), dtype int64, default=None
        Columns from which R^c is estimated, drawn without replacement; None takes all. The estimate is unbiased.

    Returns
    -------
    loss : MLCLoss
        The loss and its two rates.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `eps_squared` is not positive.
    ConvergenceError
        If a log-determinant has no value.

    Notes
    -----
    The paper's objective (MLC), negated: -R(Z) + R^c(Z, Π).
    """
    rate = coding_rate(Z, eps_squared=eps_squared)  # eq. 1
    if columns is None:
        cluster_rate = cluster_coding_rate(Z, membership, eps_squared=eps_squared)  # eq. 2
    else:  # n / m times the sum over m of the n columns
        sampled = cluster_coding_rate(Z, membership[:, columns], eps_squared=eps_squared)
        cluster_rate = len(Z) / len(columns) * sampled
    return MLCLoss(cluster_rate - rate + membership_penalty * membership.square().sum(), rate, cluster_rate)


def check_half_steps(n_half_steps: int) -> None:
    """Raise unless the number of half steps is odd, so that the iteration ends on rows.

    Parameters
    ----------
    n_half_steps : int
        How often rows or columns are scaled.

    Raises
    ------
    ValueError
        If it is even or not positive.
    """
    if n_half_steps < 1 or n_half_steps % 2 == 0:
        raise ValueError(f"n_half_steps is {n_half_steps}; it must be odd (1, 3, 5, ...): rows are scaled last.")


class _ClusterRate(torch.autograd.Function):
    """R^c of Z (n, d) and membership (n, k), whose gradients are found on the way forward."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, membership: Tensor, gain: float) -> Tensor:
        n, d = Z.shape
        needs_gradient = any(ctx.needs_input_grad)
        rate = Z.new_zeros(())
        Z_gradient, columns = torch.zeros_like(Z), []
        transposed = Z.T.contiguous()
        for chunk in iter_chunks(membership.shape[1], max(1, _BLOCK_ENTRIES // (n * d))):
            weights = membership[:, chunk]  # π_j, (n, groups)
            mass = weights.sum(dim=0)  # tr_j, (groups,)
            # M_j = I + gain / tr_j Zᵀ diag(π_j) Z, (groups, d, d), of which tr_j / (2n) log det is summed.
            scale = torch.where(mass > 0, gain / mass, 0.0)  # a group without weight has determinant 1
            factor, log_det = _factorize(transposed, (weights * scale).T)
            rate += (mass * log_det).sum() / (2 * n)
            if needs_gradient:  # dR^c/dZ = Σ_j gain / n diag(π_j) Z M_j^-1, (n, d)
                pulled = _pull(Z, torch.cholesky_inverse(factor))  # (n, groups, d)
                Z_gradient += gain / n * torch.bmm(weights[:, None], pulled)[:, 0]
                quadratic = torch.bmm(pulled, Z[:, :, None])[:, :, 0]  # z_i' M_j^-1 z_i, (n, groups)
                from_mass = log_det - scale * (weights * quadratic).sum(dim=0)  # tr_j stands before and in log det
                columns.append((gain * quadratic + from_mass) / (2 * n))
        if needs_gradient:
            ctx.save_for_backward(Z_gradient, torch.cat(columns, dim=1))
        return rate

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        Z_gradient, membership_gradient = ctx.saved_tensors
        return gradients[0] * Z_gradient, gradients[0] * membership_gradient, None


def _pull(Z: Tensor, inverse: Tensor) -> Tensor:
    """Return M_j^-1 z_i, (n, groups, d), for symmetric inverses (groups, d, d): one product, without a copy of it."""
    beside = inverse.permute(1, 0, 2).reshape(Z.shape[1], -1)  # (d, groups * d)
    return (Z @ beside).view(len(Z), *inverse.shape[:2])


def _factorize(transposed: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Cholesky factors (groups, d, d) of I + Zᵀ diag(w) Z and the log-determinants (groups,), from Zᵀ."""
    d, n = transposed.shape
    weighted = (transposed * weights.contiguous()[:, None]).view(-1, n)  # (groups * d, n)
    gram = (weighted @ transposed.T).view(-1, d, d)
    gram.diagonal(dim1=1, dim2=2).add_(1.0)
    factor, info = torch.linalg.cholesky_ex(gram)
    log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    if bool(info.any()) or not bool(log_det.isfinite().all()):
        raise ConvergenceError(
            "A coding rate has no value: Z or the membership holds NaN or infinity, negative weights, or rows too long "
            "for float32. Scale rows to unit length, lower the learning rate, or compute in float64."
        )
    return factor, log_det
