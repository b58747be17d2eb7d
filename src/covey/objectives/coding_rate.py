"""The coding rate: how many nats a row costs, coded to a given precision; all rows at once, or group by group.

MCR², MLC and CPP spread all rows (a large rate) while they compress each group (a small rate). A group is a column of
a membership matrix: of a few soft clusters, or of the square doubly stochastic matrix of MLC, where each row of the
batch has a group of its own. Log-determinants are by Cholesky, in float32 or float64, and the gradient is computed with
them, a block of groups at a time; so memory is bounded whatever the number of groups.
"""

from typing import Any

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.errors import ConvergenceError

_BLOCK_ENTRIES = 2**21  # of weighted rows held at once; more is slower, for it leaves the cache


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
    Eq. 1 of [1]_ with the factor of [2]_ and of the authors' code: R = 1/2 log det(I + d / (n ε²) ZᵀZ), rows being
    samples. The paper prints it without the 1/2. O(n d min(n, d)) time.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.
    .. [2] Ma, Derksen, Hong and Wright, "Segmentation of Multivariate Mixed Data via Lossy Data Coding and
       Compression", IEEE TPAMI, 2007.

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
    R^c = Σ_j tr_j / (2n) log det(I + d / (tr_j ε²) Zᵀ diag(π_j) Z) with tr_j = Σ_i π_ij. This is MCR²'s rate [2]_, and
    eq. 2 of [1]_ where tr_j = 1, for which the paper drops the 1/2. Departs from the authors' code, which adds 1e-8 to
    tr_j; here a group without weight costs nothing.

    O(k n d²) time, forward and backward together; if n < d, d is n but for the factor, which is exact: only the span
    of the rows takes part. Memory besides input and gradients does not grow with k. First derivatives only.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.
    .. [2] Yu et al., "Learning Diverse and Discriminative Representations via the Principle of Maximal Coding Rate
       Reduction", NeurIPS 2020, arXiv:2006.08558.
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


def mlc_loss(Z: Tensor, membership: Tensor, *, eps_squared: float = 0.1, membership_penalty: float = 0.0) -> Tensor:
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

    Returns
    -------
    loss : Tensor of shape ()
        In nats; smaller is better.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `eps_squared` is not positive.
    ConvergenceError
        If a log-determinant has no value.

    Notes
    -----
    Eq. MLC of [1]_: -R(Z) + R^c(Z, Π).

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.
    """
    compressed = cluster_coding_rate(Z, membership, eps_squared=eps_squared)
    return compressed - coding_rate(Z, eps_squared=eps_squared) + membership_penalty * membership.square().sum()


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
            weights = membership[:, chunk]  # (n, groups)
            mass = weights.sum(dim=0)
            scale = torch.where(mass > 0, gain / mass, 0.0)  # a group without weight has determinant 1
            factor, log_det = _factorize(transposed, (weights * scale).T)
            rate += (mass * log_det).sum() / (2 * n)
            if needs_gradient:
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
