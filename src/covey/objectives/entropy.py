"""Entropies of class probabilities, from their logarithms."""

import math

import torch
from torch import Tensor


def mean_log_probabilities(log_p: Tensor) -> Tensor:
    """Average probabilities over a batch, staying in log space.

    Parameters
    ----------
    log_p : Tensor of shape (..., batch, n_clusters)
        Log-probabilities; ``exp`` of a row sums to 1.

    Returns
    -------
    log_mean : Tensor of shape (..., n_clusters)
        The logarithm of the mean probability, log(1/B Σ_i p_i).
    """
    return log_p.logsumexp(dim=-2) - math.log(log_p.shape[-2])


def entropy(log_p: Tensor) -> Tensor:
    """Compute the entropy of each distribution.

    Parameters
    ----------
    log_p : Tensor of shape (..., n_clusters)
        Log-probabilities. -inf, a class that is never met, adds nothing.

    Returns
    -------
    entropy : Tensor of shape (...)
        -Σ_c p log p in nats, in [0, log(n_clusters)].
    """
    finite = log_p.clamp(min=torch.finfo(log_p.dtype).min)  # 0 · log 0 = 0, and no NaN gradient where p underflows
    return -(log_p.exp() * finite).sum(dim=-1)


def marginal_entropy(log_p: Tensor) -> Tensor:
    """Compute the entropy of the mean prediction, H(q(c)); large when all clusters are used.

    Parameters
    ----------
    log_p : Tensor of shape (..., batch, n_clusters)
        Log-probabilities.

    Returns
    -------
    entropy : Tensor of shape (...)
        In nats, in [0, log(n_clusters)].
    """
    return entropy(mean_log_probabilities(log_p))


def conditional_entropy(log_p: Tensor) -> Tensor:
    """Compute the mean entropy of the predictions, E[H(q(c|x))]; small when they are sure.

    Parameters
    ----------
    log_p : Tensor of shape (..., batch, n_clusters)
        Log-probabilities.

    Returns
    -------
    entropy : Tensor of shape (...)
        In nats, in [0, log(n_clusters)].
    """
    return entropy(log_p).mean(dim=-1)
