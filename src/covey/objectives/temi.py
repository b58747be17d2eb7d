"""TEMI's family of losses: pointwise mutual information of a pair, weighted by how likely the pair is a true one.

All stays in log space, so neither a probability that underflows nor a rare cluster gives NaN. The members of the
family differ in the weight alone:

=========  ==========================================================================
PMI        ``weight = 1``
WPMI       ``weight = pair_weights(...)``, each head with its own
TEMI       ``weight = pair_weights(...).mean(dim=0)``, the ensemble's, shared by all
=========  ==========================================================================
"""

import torch
from torch import Tensor

from covey.objectives.entropy import marginal_entropy


def pointwise_mutual_information(log_student: Tensor, log_teacher: Tensor, log_prior: Tensor, *, beta: float) -> Tensor:
    """Estimate how much more often than by chance the two of a pair share a cluster.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbour; ``exp`` of a row sums to 1.
    log_prior : Tensor of shape (n_heads, n_clusters)
        Log of the running mean of the teacher's output, log q(c).
    beta : float in (0.5, 1]
        Exponent β. Below 1 it discourages the solution in which few clusters take all.

    Returns
    -------
    pmi : Tensor of shape (n_heads, batch)
        In nats; larger is better.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Eq. 8 of [1]_ (eq. 5 for β = 1) in log space: logsumexp_c(β (log q_s + log q_t) - log q).
    Departs from the authors' code, which forms the products before the logarithm and can underflow.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """
    if log_student.shape != log_teacher.shape or log_prior.shape != log_student.shape[::2]:
        raise ValueError(
            f"log_student {tuple(log_student.shape)}, log_teacher {tuple(log_teacher.shape)} and log_prior "
            f"{tuple(log_prior.shape)} must be (n_heads, batch, n_clusters) twice and (n_heads, n_clusters)."
        )
    joint = torch.add(beta * log_teacher - log_prior[:, None], log_student, alpha=beta)  # (n_heads, batch, n_clusters)
    return joint.logsumexp(dim=-1)


def pair_weights(log_first: Tensor, log_second: Tensor) -> Tensor:
    """Compute how likely the two of a pair share a cluster, in the eyes of each teacher head.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (n_heads, batch, n_clusters)
        The teacher's log-probabilities of a sample and of its neighbour.

    Returns
    -------
    weight : Tensor of shape (n_heads, batch)
        In [0, 1]; its mean over heads is TEMI's weight.

    Notes
    -----
    Eq. 9 of [1]_: w_i(x, x') = Σ_c q_t(c|x) q_t(c|x').

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """
    return (log_first + log_second).exp().sum(dim=-1)


def temi_loss(
    log_student: Tensor, log_teacher: Tensor, log_prior: Tensor, weight: Tensor | float, *, beta: float
) -> Tensor:
    """Compute TEMI's weighted mutual-information loss for each pair.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbour; ``exp`` of a row sums to 1.
    log_prior : Tensor of shape (n_heads, n_clusters)
        Log of the running mean of the teacher's output, log q(c).
    weight : Tensor of shape (batch,) or (n_heads, batch), in [0, 1], no gradient, or 1.0
        How likely the two share a cluster: averaged over heads (TEMI), of each head (WPMI), or 1 (PMI).
    beta : float in (0.5, 1]
        Exponent β. Below 1 it discourages the solution in which few clusters take all.

    Returns
    -------
    loss : Tensor of shape (n_heads, batch)
        In nats; smaller is better.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Eq. 10 of [1]_ for one direction of the pair, in log space: -w · logsumexp_c(β (log q_s + log q_t) - log q). The
    symmetric loss (eq. 7) is the mean of the two directions.
    Departs from the authors' code, which forms the products before the logarithm and can underflow.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """
    return -weight * pointwise_mutual_information(log_student, log_teacher, log_prior, beta=beta)


def distilled_scan_loss(log_student: Tensor, log_teacher: Tensor, *, entropy_weight: float) -> Tensor:
    """Compute SCAN's loss between a student and a teacher, TEMI's baseline.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbour; ``exp`` of a row sums to 1.
    entropy_weight : float
        Weight λ of the entropy of the student's mean prediction.

    Returns
    -------
    loss : Tensor of shape (n_heads, batch)
        In nats; smaller is better. The entropy is the batch's and the same in each column.

    Notes
    -----
    Section 4.1 of [1]_: -log Σ_c q_s q_t - λ H(mean of q_s), the consistency of eq. 5 without the prior.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """
    consistency = (log_student + log_teacher).logsumexp(dim=-1)  # (n_heads, batch)
    return -consistency - entropy_weight * marginal_entropy(log_student)[:, None]
