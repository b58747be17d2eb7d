"""The equations of SCP [1]_: two views of an image get one sure prediction, and together all clusters are used.

For the predictions yᵃ and yᵇ of two views, and their means Pᵃ and Pᵇ over the samples:

======  =============================================  ====================
eq. 3   L_e = -Σ_i Σ_k yᵃ_ik log yᵇ_ik                 `view_cross_entropy`
eq. 4   L_con = -log Σ_i yᵃ_i · yᵇ_i                   `confidence_loss`
eq. 5   H = -Σ_k (Pᵃ_k log Pᵃ_k + Pᵇ_k log Pᵇ_k)       `balance_entropy`
eq. 6   L_clu = L_e + L_con - α H                      `scp_loss`
======  =============================================  ====================

Eqs. 1 and 2 argue that features suffice without text, eqs. 7 to 9 prove it; they compute nothing. Sums over samples are
means here: as printed they would drown the entropy.

.. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
"""

import math
from typing import Literal

from torch import Tensor

from covey.objectives.entropy import entropy, mean_log_probabilities

ConfidenceReading = Literal["mean_of_log", "log_of_mean"]


def view_cross_entropy(log_first: Tensor, log_second: Tensor) -> Tensor:
    """Compute the cross-entropy from the first view's predictions to the second's.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (..., batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.

    Returns
    -------
    loss : Tensor of shape (...)
        In nats; smaller is better. Not symmetric in the views.

    Notes
    -----
    Eq. 3, divided by the batch size.
    """
    return -(log_first.exp() * log_second).sum(dim=-1).mean(dim=-1)


def confidence_loss(log_first: Tensor, log_second: Tensor, *, reading: ConfidenceReading = "mean_of_log") -> Tensor:
    """Compute how far two views are from agreeing with certainty.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (..., batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.
    reading : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        ``"log_of_mean"`` is the printed equation, with the sum inside the logarithm; ``"mean_of_log"`` is what the
        work that the paper cites for it does.

    Returns
    -------
    loss : Tensor of shape (...)
        In nats, 0 at best. ``"mean_of_log"`` is never the smaller of the two (Jensen).

    Raises
    ------
    ValueError
        For another reading.

    Notes
    -----
    Eq. 4: -log Σ_i yᵃ_i · yᵇ_i. With the mean in place of the sum its value is log(batch) larger, its gradient the
    same.
    """
    log_agreement = (log_first + log_second).logsumexp(dim=-1)  # (..., batch)
    if reading == "mean_of_log":
        return -log_agreement.mean(dim=-1)
    if reading == "log_of_mean":
        return math.log(log_agreement.shape[-1]) - log_agreement.logsumexp(dim=-1)
    raise ValueError(f"reading is {reading!r}; it must be 'mean_of_log' or 'log_of_mean'.")


def balance_entropy(log_mean_first: Tensor, log_mean_second: Tensor) -> Tensor:
    """Compute the entropy of both views' mean predictions, summed.

    Parameters
    ----------
    log_mean_first, log_mean_second : Tensor of shape (..., n_clusters)
        Log of each view's mean prediction, over the batch or a running one.

    Returns
    -------
    entropy : Tensor of shape (...)
        In nats, in [0, 2 log(n_clusters)]; larger is better.

    Notes
    -----
    Eq. 5.
    """
    return entropy(log_mean_first) + entropy(log_mean_second)


def scp_loss(
    log_first: Tensor,
    log_second: Tensor,
    *,
    alpha: float,
    reading: ConfidenceReading = "mean_of_log",
    cross_entropy_weight: float = 1.0,
    confidence_weight: float = 1.0,
    log_means: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Compute SCP's loss.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (..., batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.
    alpha : float
        Weight α of the entropy term. At 1 and below, a single sure cluster is no worse than equal predictions for all.
    reading : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        See `confidence_loss`.
    cross_entropy_weight, confidence_weight : float, default=1.0
        Weights of eqs. 3 and 4; the paper's ablations leave a term out.
    log_means : tuple of two Tensors of shape (..., n_clusters), default=None
        Log of each view's mean prediction, e.g. a running one; None for the batch's.

    Returns
    -------
    loss : Tensor of shape (...)
        In nats; smaller is better, ``-2 alpha log(n_clusters)`` at best, 0 when all is one sure cluster.

    Raises
    ------
    ValueError
        If the shapes differ, or for another reading.

    Notes
    -----
    Eq. 6.
    """
    if log_first.shape != log_second.shape:
        raise ValueError(
            f"log_first {tuple(log_first.shape)} and log_second {tuple(log_second.shape)} must have one shape."
        )
    if log_means is None:
        log_means = mean_log_probabilities(log_first), mean_log_probabilities(log_second)  # (..., n_clusters) each
    balance = balance_entropy(*log_means)
    confidence = confidence_loss(log_first, log_second, reading=reading)
    agreement = view_cross_entropy(log_first, log_second)
    return cross_entropy_weight * agreement + confidence_weight * confidence - alpha * balance
