"""The equation of SCAN's clustering step [1]_: neighbors agree, and together all clusters are used.

.. [1] Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", ECCV 2020, arXiv:2005.12320.
"""

from torch import Tensor

from covey.objectives.entropy import marginal_entropy


def scan_loss(log_anchor: Tensor, log_neighbor: Tensor, *, entropy_weight: float = 5.0) -> Tensor:
    """Compute SCAN's clustering loss.

    Parameters
    ----------
    log_anchor, log_neighbor : Tensor of shape (..., batch, n_clusters)
        Log-probabilities of samples and of their neighbors; ``exp`` of a row sums to 1.
    entropy_weight : float, default=5.0
        Weight λ of the entropy of the anchors' mean prediction.

    Returns
    -------
    loss : Tensor of shape (...)
        In nats; smaller is better, never below ``-entropy_weight * log(n_clusters)``.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Eq. 2: -mean_i log Σ_c p_ic p'_ic + λ Σ_c m_c log m_c with m the anchors' mean.
    Departs from the authors' code, which clamps: the mean at 1e-8, the logarithm at -100. Here both are exact.
    """
    if log_anchor.shape != log_neighbor.shape:
        raise ValueError(
            f"log_anchor {tuple(log_anchor.shape)} and log_neighbor {tuple(log_neighbor.shape)} must have one shape."
        )
    consistency = -(log_anchor + log_neighbor).logsumexp(dim=-1).mean(dim=-1)  # (...)
    return consistency - entropy_weight * marginal_entropy(log_anchor)
