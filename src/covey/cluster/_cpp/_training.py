"""CPP's training step: spread all rows, compress what belongs together."""

from typing import NamedTuple

import torch
from torch import Tensor

from covey.nn.code_heads import CodeHeads
from covey.objectives.cpp import cluster_coding_rate, coding_rate, doubly_stochastic, similarity_scores


class RateSettings(NamedTuple):
    """What the loss is made with; each as the parameter of `CPP` that bears its name."""

    gamma: float
    n_half_steps: int
    eps_squared: float
    membership_penalty: float
    n_columns: int | None


class RateReduction:
    """Compute CPP's loss and its gradients for a batch.

    Parameters
    ----------
    network : CodeHeads
        Features to representation and code.
    settings : RateSettings
        Of the loss.
    n_warmup : int
        Steps in which the representation alone is spread; then the code begins as the representation.
    generator : torch.Generator
        On the device of the rows; draws the columns.
    """

    def __init__(
        self, network: CodeHeads, *, settings: RateSettings, n_warmup: int, generator: torch.Generator
    ) -> None:
        self.network = network
        self.settings = settings
        self.n_warmup = n_warmup
        self.generator = generator

    def backward(self, rows: Tensor, step: int) -> Tensor:
        """Add the gradients of a batch (batch, d) and return the loss, R and R^c, shape (3,), detached.

        During the warm-up R^c is 0 and takes no part.
        """
        eps_squared = self.settings.eps_squared
        if step < self.n_warmup:
            rate = coding_rate(self.network.represent(rows), eps_squared=eps_squared)
            loss, compressed = -rate, torch.zeros_like(rate)
        else:
            if step == self.n_warmup > 0:
                self.network.copy_feature_head()
            Z, C = self.network(rows)
            rate = coding_rate(Z, eps_squared=eps_squared)
            membership = self._membership(C)
            compressed = self._compressed_rate(Z, membership)
            loss = compressed - rate + self.settings.membership_penalty * membership.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return torch.stack([loss, rate, compressed]).detach()

    def _membership(self, C: Tensor) -> Tensor:
        scores = similarity_scores(C, gamma=self.settings.gamma)
        return doubly_stochastic(scores, n_half_steps=self.settings.n_half_steps)

    def _compressed_rate(self, Z: Tensor, membership: Tensor) -> Tensor:
        """Return R^c of all columns, or its unbiased estimate from some that are drawn."""
        n, n_columns = len(Z), self.settings.n_columns
        if n_columns is None or n_columns >= n:
            return cluster_coding_rate(Z, membership, eps_squared=self.settings.eps_squared)
        drawn = torch.randperm(n, generator=self.generator, device=Z.device)[:n_columns]
        return n / n_columns * cluster_coding_rate(Z, membership[:, drawn], eps_squared=self.settings.eps_squared)


def make_optimizer(network: CodeHeads, kind: str, *, decays: tuple[float, float]) -> torch.optim.Optimizer:
    """Make AdamW, or SGD with momentum 0.9; its rate is set at each step.

    `decays` are the weight decays of the network and of its cluster head.
    """
    head = network.cluster_head
    of_head = set() if head is None else set(head.parameters())
    groups = [{"params": [p for p in network.parameters() if p not in of_head], "weight_decay": decays[0]}]
    if head is not None:
        groups.append({"params": list(head.parameters()), "weight_decay": decays[1]})
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9)
    return torch.optim.AdamW(groups, lr=0.0)
