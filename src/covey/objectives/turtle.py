"""The two levels of TURTLE [1]_, section 3: classifiers learn a labeling, the labeling becomes easy to learn.

With tau(x) the labeling, the mean of the labelings tau_k(x) of the feature spaces, and w_k the linear classifier of
space k:

=============  =======================================================  ==================
inner problem  w_k = argmin_w mean_x CE(tau(x), softmax(w φ_k(x)))      `classifier_loss`
outer problem  tau = argmin Σ_k (inner loss of w_k) - γ H(mean tau)     `turtle_loss`
=============  =======================================================  ==================

.. [1] A. Gadetsky, Y. Jiang and M. Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024,
   arXiv:2406.07236.
"""

import math

from torch import Tensor

from covey.objectives.entropy import marginal_entropy


def classifier_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy between a labeling and the classifiers' predictions.

    Parameters
    ----------
    logits : Tensor of shape (n_spaces, ..., batch, n_clusters)
        Of the classifier of each feature space.
    labels : Tensor of shape (..., batch, n_clusters)
        Soft labels; a row sums to 1.

    Returns
    -------
    loss : Tensor of shape (...)
        Mean over the batch, summed over spaces, in nats; smaller is better.
    """
    return -(labels * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1).sum(dim=0)


def mean_labels(log_labels: Tensor) -> Tensor:
    """Average the labelings of all feature spaces, in log space.

    Parameters
    ----------
    log_labels : Tensor of shape (n_spaces, ..., n_clusters)
        Log-probabilities of each space's labeling, log tau_k(x).

    Returns
    -------
    log_mean : Tensor of shape (..., n_clusters)
        The logarithm of the mean labeling, log tau(x).
    """
    return log_labels.logsumexp(dim=0) - math.log(len(log_labels))


def turtle_loss(logits: Tensor, log_labels: Tensor, *, entropy_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute TURTLE's outer loss, and its two terms.

    Parameters
    ----------
    logits : Tensor of shape (n_spaces, ..., batch, n_clusters)
        Of the trained classifiers. Without a gradient they count as given.
    log_labels : Tensor of shape (..., batch, n_clusters)
        Logarithm of the labeling, log tau(x).
    entropy_weight : float
        Weight γ of the entropy of the mean labels.

    Returns
    -------
    loss : Tensor of shape (...)
        ``cross_entropy - entropy_weight * balance`` in nats; smaller is better.
    cross_entropy : Tensor of shape (...)
        `classifier_loss` of the labeling.
    balance : Tensor of shape (...)
        Entropy of the mean labels, in [0, log(n_clusters)].
    """
    cross_entropy = classifier_loss(logits, log_labels.exp())
    balance = marginal_entropy(log_labels)
    return cross_entropy - entropy_weight * balance, cross_entropy, balance
