"""SCAN's training step: a row and its neighbour get one answer, and all clusters are used."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from covey.nn import LinearHeads
from covey.objectives import scan_loss

Optimizer = Literal["adam", "sgd"]


def add_gradients(heads: LinearHeads, pairs: Tensor, *, entropy_weight: float) -> Tensor:
    """Add the gradients of a batch of pairs (2 * batch, d) and return each head's loss, (n_heads,), detached.

    The samples come first in `pairs`, then a neighbour of each. Losses are summed, so heads do not feel one another.
    """
    losses = scan_loss(*heads(pairs).chunk(2, dim=1), entropy_weight=entropy_weight)
    losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return losses.detach()


def make_optimizer(
    parameters: Iterable[nn.Parameter], optimizer: Optimizer, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Make Adam or SGD, both with the decay in the gradient; the rate is set at each step."""
    if optimizer == "adam":
        return torch.optim.Adam(parameters, lr=0.0, weight_decay=weight_decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=momentum, weight_decay=weight_decay)
