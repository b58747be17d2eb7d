"""The equations of TEMI [1]_: the mutual information of a pair, weighted by how likely it is a true one.

All is in log space, so neither a probability that underflows nor a rare cluster gives NaN; the authors' code forms the
products of probabilities first. For a sample x, its neighbor x', a head i, the student's probabilities q_s and the
teacher's q_t:

==========  =======================================================  ==============================
eq. 2, 5    pmi(x, x') = log Σ_c q_s(c|x) q_t(c|x') / q̃_t(c)         `pointwise_mutual_information`
eq. 6       q̃_t(c) ← m q̃_t(c) + (1 - m) mean_i q_t(c|x_i)            `update_class_prior`
eq. 7       L(x, x') = -½ (pmi(x, x') + pmi(x', x))                  `symmetric_loss`
eq. 8       eq. 5 with (q_s q_t)^β                                   `pointwise_mutual_information`
eq. 9       w_i(x, x') = Σ_c q_t(c|x) q_t(c|x')                      `pair_weights`
eq. 10      L_TEMI = mean_j w_j(x, x') · L_i(x, x')                  `temi_loss`
==========  =======================================================  ==============================

Eq. 1 defines the joint distribution of which eq. 2 is the logarithm, eq. 3 the expectation that is maximized, eq. 4 the
softmax with temperature of the heads (`covey.nn.StackedHeads`). The members of the family differ in the weight alone:

=====  ===================================================================
PMI    ``weight = 1``
WPMI   ``weight = pair_weights(...)``, each head with its own
TEMI   ``weight = pair_weights(...).mean(dim=0)``, shared by all heads
=====  ===================================================================

.. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC 2023,
   arXiv:2303.17896.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from covey.objectives.entropy import marginal_entropy


def pointwise_mutual_information(log_student: Tensor, log_teacher: Tensor, log_prior: Tensor, *, beta: float) -> Tensor:
    """Estimate how much more often than by chance the two of a pair share a cluster.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbor; ``exp`` of a row sums to 1.
    log_prior : Tensor of shape (n_heads, n_clusters)
        Log of the running mean of the teacher's output, log q̃_t(c).
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
    Eq. 8 (eq. 5 for β = 1) in log space: logsumexp_c(β (log q_s + log q_t) - log q̃_t).
    """
    if log_student.shape != log_teacher.shape or log_prior.shape != log_student.shape[::2]:
        raise ValueError(
            f"log_student {tuple(log_student.shape)}, log_teacher {tuple(log_teacher.shape)} and log_prior "
            f"{tuple(log_prior.shape)} must be (n_heads, batch, n_clusters) twice and (n_heads, n_clusters)."
        )
    joint = torch.add(beta * log_teacher - log_prior[:, None], log_student, alpha=beta)  # (n_heads, batch, n_clusters)
    return joint.logsumexp(dim=-1)


@torch.no_grad()
def update_class_prior(prior: Tensor, log_teacher: Tensor, *, momentum: float) -> Tensor:
    """Return the running mean of the teacher's predictions after a batch.

    Parameters
    ----------
    prior : Tensor of shape (n_heads, n_clusters)
        The running mean before, q̃_t(c).
    log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        The teacher's log-probabilities, of both samples of each pair.
    momentum : float in [0, 1]
        Share m of the old mean that stays.

    Returns
    -------
    prior : Tensor of shape (n_heads, n_clusters)
        The running mean after. No gradient.

    Notes
    -----
    Eq. 6. The paper gives neither m nor a first value; the authors' code has 0.9 and 1 / n_clusters.
    """
    return prior.lerp(log_teacher.exp().mean(dim=1), 1 - momentum)


def pair_weights(log_first: Tensor, log_second: Tensor) -> Tensor:
    """Compute how likely the two of a pair share a cluster, according to each teacher head.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (..., batch, n_clusters)
        The teacher's log-probabilities of a sample and of its neighbor.

    Returns
    -------
    weight : Tensor of shape (..., batch)
        In [0, 1]; its mean over heads is TEMI's weight.

    Notes
    -----
    Eq. 9: w_i(x, x') = Σ_c q_t(c|x) q_t(c|x').
    """
    return (log_first + log_second).exp().sum(dim=-1)


def temi_loss(
    log_student: Tensor, log_teacher: Tensor, log_prior: Tensor, weight: Tensor | float, *, beta: float
) -> Tensor:
    """Compute TEMI's weighted mutual-information loss for each pair, in one direction.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbor; ``exp`` of a row sums to 1.
    log_prior : Tensor of shape (n_heads, n_clusters)
        Log of the running mean of the teacher's output, log q̃_t(c).
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
    Eq. 10 for one direction of the pair: -w · logsumexp_c(β (log q_s + log q_t) - log q̃_t). `symmetric_loss` takes
    the mean of both directions.
    """
    return -weight * pointwise_mutual_information(log_student, log_teacher, log_prior, beta=beta)


def symmetric_loss(loss: Callable[[Tensor, Tensor], Tensor], log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """Average a loss over both directions of each pair and over the batch.

    Parameters
    ----------
    loss : callable
        Maps the student's and the teacher's log-probabilities, (n_heads, batch, n_clusters) each, to (n_heads, batch).
    log_student, log_teacher : Tensor of shape (n_heads, 2 * batch, n_clusters)
        Log-probabilities of the samples, then of a neighbor of each in the same order.

    Returns
    -------
    loss : Tensor of shape (n_heads,)
        In nats; smaller is better.

    Notes
    -----
    Eq. 7, with the mean over the batch that eqs. 7 and 10 leave to the reader.
    """
    student_first, student_second = log_student.chunk(2, dim=1)
    teacher_first, teacher_second = log_teacher.chunk(2, dim=1)
    forth = loss(student_first, teacher_second)  # (n_heads, batch)
    back = loss(student_second, teacher_first)  # (n_heads, batch)
    return 0.5 * (forth.mean(dim=1) + back.mean(dim=1))


def distilled_scan_loss(log_student: Tensor, log_teacher: Tensor, *, entropy_weight: float) -> Tensor:
    """Compute SCAN's loss between a student and a teacher, TEMI's baseline.

    Parameters
    ----------
    log_student, log_teacher : Tensor of shape (n_heads, batch, n_clusters)
        Log-probabilities of a sample and of its neighbor; ``exp`` of a row sums to 1.
    entropy_weight : float
        Weight λ of the entropy of the student's mean prediction.

    Returns
    -------
    loss : Tensor of shape (n_heads, batch)
        In nats; smaller is better. The entropy is the batch's and the same in each column.

    Notes
    -----
    Section 4.1: -log Σ_c q_s q_t - λ H(mean of q_s), the consistency of eq. 5 without the prior.
    """
    consistency = (log_student + log_teacher).logsumexp(dim=-1)  # (n_heads, batch)
    return -consistency - entropy_weight * marginal_entropy(log_student)[:, None]
