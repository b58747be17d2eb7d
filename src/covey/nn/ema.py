"""Exponential moving averages: of a network's parameters, and of what a network predicts."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, *, momentum: float) -> None:
    """Move a teacher's parameters towards its student's, in place.

    Parameters
    ----------
    average, current : nn.Module
        Teacher and student, of the same architecture.
    momentum : float in [0, 1]
        Share of the old average that stays.

    Notes
    -----
    θ_t ← m θ_t + (1 - m) θ_s, section 3.2 of [1]_. Parameters only, as there; buffers stay.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """
    for old, new in zip(average.parameters(), current.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


class ClassPrior:
    """Keep a running mean of predicted class probabilities for each head.

    Parameters
    ----------
    n_heads, n_clusters : int
        Its shape.
    momentum : float in [0, 1)
        Share m of the old mean that stays at an update.
    device : torch.device
        Where it lives.

    Attributes
    ----------
    mean : Tensor of shape (n_heads, n_clusters), dtype float32
        Starts at 1 / n_clusters; a row sums to 1.

    Notes
    -----
    Eq. 6 of [1]_. Initial value and the momentum 0.9 are those of the authors' code.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """

    def __init__(self, n_heads: int, n_clusters: int, *, momentum: float, device: torch.device) -> None:
        self.momentum = momentum
        self.mean = torch.full((n_heads, n_clusters), 1 / n_clusters, device=device)

    @torch.no_grad()
    def update(self, log_p: Tensor) -> Tensor:
        """Take in a batch and return the log of the new mean.

        Parameters
        ----------
        log_p : Tensor of shape (n_heads, batch, n_clusters)
            Log-probabilities.

        Returns
        -------
        log_prior : Tensor of shape (n_heads, n_clusters)
            Finite: a class that is never predicted is taken at the smallest normal number.
        """
        self.mean.lerp_(log_p.exp().mean(dim=1), 1 - self.momentum)
        return self.mean.clamp(min=torch.finfo(self.mean.dtype).tiny).log()
