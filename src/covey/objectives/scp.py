"""SCP's loss: two views of a picture get one answer, a sure one, and together all clusters are used."""

import math
from typing import Literal

from torch import Tensor

from covey.objectives.entropy import entropy, mean_log_probabilities

ConfidenceReading = Literal["mean_of_log", "log_of_mean"]


def view_cross_entropy(log_first: Tensor, log_second: Tensor) -> Tensor:
    """Compute the cross-entropy from the first view's predictions to the second's.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.

    Returns
    -------
    loss : Tensor of shape ()
        In nats; smaller is better. Not symmetric in the views.

    Notes
    -----
    Eq. 3 of [1]_, divided by the batch size: printed as a sum, which would drown the entropy term.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """
    return -(log_first.exp() * log_second).sum(dim=-1).mean()


def confidence_loss(log_first: Tensor, log_second: Tensor, *, reading: ConfidenceReading = "mean_of_log") -> Tensor:
    """Compute how far two views are from agreeing with certainty.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.
    reading : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        ``"log_of_mean"`` is the printed equation, with the sum inside the logarithm; ``"mean_of_log"`` is what the
        work that the paper cites for it does.

    Returns
    -------
    loss : Tensor of shape ()
        In nats, 0 at best. ``"mean_of_log"`` is never the smaller of the two (Jensen).

    Raises
    ------
    ValueError
        For another reading.

    Notes
    -----
    Eq. 4 of [1]_: -log Σ_i yᵃ_i · yᵇ_i. With the mean in place of the sum its value is log(batch) larger, its
    gradient the same.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """
    log_agreement = (log_first + log_second).logsumexp(dim=-1)  # (batch,)
    if reading == "mean_of_log":
        return -log_agreement.mean()
    if reading == "log_of_mean":
        return math.log(len(log_agreement)) - log_agreement.logsumexp(dim=0)
    raise ValueError(f"reading is {reading!r}; it must be 'mean_of_log' or 'log_of_mean'.")


def balance_entropy(log_mean_first: Tensor, log_mean_second: Tensor) -> Tensor:
    """Compute the entropy of both views' mean predictions, summed.

    Parameters
    ----------
    log_mean_first, log_mean_second : Tensor of shape (n_clusters,)
        Log of each view's mean prediction, over the batch or a running one.

    Returns
    -------
    entropy : Tensor of shape ()
        In nats, in [0, 2 log(n_clusters)]; larger is better.

    Notes
    -----
    Eq. 5 of [1]_.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """
    return entropy(log_mean_first) + entropy(log_mean_second)


def scp_loss(
    log_first: Tensor, log_second: Tensor, *, alpha: float, reading: ConfidenceReading = "mean_of_log"
) -> Tensor:
    """Compute SCP's loss.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (batch, n_clusters)
        Log-probabilities of two views of the same samples; ``exp`` of a row sums to 1.
    alpha : float
        Weight α of the entropy term. Below 1 the collapsed solution is as good as the wanted one is not found.
    reading : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        See `confidence_loss`.

    Returns
    -------
    loss : Tensor of shape ()
        In nats; smaller is better, ``-2 alpha log(n_clusters)`` at best, 0 when all is one sure cluster.

    Raises
    ------
    ValueError
        If the shapes differ, or for another reading.

    Notes
    -----
    Eq. 6 of [1]_ with means over the batch: L_e + L_con - α H.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """
    if log_first.shape != log_second.shape:
        raise ValueError(
            f"log_first {tuple(log_first.shape)} and log_second {tuple(log_second.shape)} must have one shape."
        )
    balance = balance_entropy(mean_log_probabilities(log_first), mean_log_probabilities(log_second))
    consistency = view_cross_entropy(log_first, log_second) + confidence_loss(log_first, log_second, reading=reading)
    return consistency - alpha * balance
