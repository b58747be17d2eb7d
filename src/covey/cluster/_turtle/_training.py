"""TURTLE's two levels: classifiers that learn the labels, and a task encoder whose labels are easy to learn."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from covey.objectives import marginal_entropy


class LinearSpaces(nn.Module):
    """One linear layer a feature space, on its own columns.

    Parameters
    ----------
    spaces : sequence of int
        Widths of the spaces, in the order of their columns.
    n_clusters : int
        Outputs of each layer, K.
    generator : torch.Generator
        Draws the weights, uniform in ±1/sqrt(width); biases begin at zero.
    """

    def __init__(self, spaces: Sequence[int], n_clusters: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.columns = [slice(*ends) for ends in pairwise(accumulate(spaces, initial=0))]
        self.weights = nn.ParameterList(
            nn.Parameter((torch.rand(width, n_clusters, generator=generator) * 2 - 1) / width**0.5) for width in spaces
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n_clusters)) for _ in spaces)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of every space, (n_spaces, n, n_clusters), for rows (n, sum of widths)."""
        layers = zip(self.columns, self.weights, self.biases, strict=True)
        return torch.stack([rows[:, columns] @ weight + bias for columns, weight, bias in layers])


class TaskEncoder(LinearSpaces):
    """The labelling: the mean over spaces of the softmax of linear layers."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return log tau(x), the log of the mean of the spaces' probabilities, (n, n_clusters)."""
        return super().forward(rows).log_softmax(dim=2).logsumexp(dim=0) - math.log(len(self.columns))


def classifier_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy between labels (n, K) and the softmax of logits (n_spaces, n, K), summed over spaces."""
    return -(labels * logits.log_softmax(dim=2)).sum(dim=2).mean(dim=1).sum()


def fit_classifiers(
    classifiers: LinearSpaces, rows: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, *, n_steps: int
) -> None:
    """Let the classifiers learn soft labels (n, K) of rows (n, d) by a few steps: the inner problem."""
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        classifier_loss(classifiers(rows), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()


def add_task_gradients(
    encoder: TaskEncoder, classifiers: LinearSpaces, rows: Tensor, *, entropy_weight: float
) -> Tensor:
    """Add the gradients of the outer problem to the encoder's, and return its two terms, (2,), detached.

    The classifiers count as given, so that the gradient passes through the labels alone.
    """
    log_labels = encoder(rows)
    with torch.no_grad():
        logits = classifiers(rows)
    loss = classifier_loss(logits, log_labels.exp())
    balance = marginal_entropy(log_labels)
    (loss - entropy_weight * balance).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return torch.stack([loss, balance]).detach()
