"""SCP's training step: two views of each row, one answer."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from covey.cluster._head_clusterer import RowScaling
from covey.cluster._training import kmeans_labels
from covey.nn import FeatureScaling
from covey.objectives import balance_entropy, confidence_loss, mean_log_probabilities, view_cross_entropy
from covey.objectives.scp import ConfidenceReading

Scaling = Literal["standardize", "l2", "none"]


def fit_row_scaling(X: Tensor, scaling: Scaling) -> RowScaling:
    """Return the function that prepares rows (n, d), or views of them (n, n_views, d), for the head."""
    if scaling == "l2":
        return unit_rows
    return FeatureScaling.fit(X, standardize=scaling == "standardize")


def unit_rows(X: Tensor) -> Tensor:
    """Scale rows to unit length."""
    return normalize(X, dim=-1)


def start_labels(X: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Return the labels (n,) of k-means on prepared rows (n, d)."""
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    return kmeans_labels(X, n_clusters, seed, n_init=5)


class PairSource:
    """Draw two views of each row: of its augmented copies, or the row and one of its neighbours.

    Parameters
    ----------
    X : Tensor of shape (n, d), or (n, n_views, d)
        Rows; or the views of each.
    partners : Tensor of shape (n, k), dtype int64, or None
        Rows that may stand in for a second view; None if `X` holds views.
    generator : torch.Generator
        On the device of `X`.
    """

    def __init__(self, X: Tensor, partners: Tensor | None, generator: torch.Generator) -> None:
        self.X = X
        self.partners = partners
        self.generator = generator

    def draw(self, rows: Tensor) -> Tensor:
        """Return features (2 * batch, d): the first views, then the second ones in the same order."""
        n_choices = self.X.shape[1] if self.partners is None else self.partners.shape[1]
        first = self._integers(n_choices, rows)
        if self.partners is not None:
            return self.X[torch.cat([rows, self.partners[rows, first]])]
        second = (first + 1 + self._integers(n_choices - 1, rows)) % n_choices  # another view than the first
        return torch.cat([self.X[rows, first], self.X[rows, second]])

    def _integers(self, high: int, rows: Tensor) -> Tensor:
        return torch.randint(high, (len(rows),), generator=self.generator, device=rows.device)


class LossWeights(NamedTuple):
    """What the terms of SCP's loss count; the paper's ablations leave some out."""

    cross_entropy: float = 1.0
    confidence: float = 1.0
    entropy: float = 1.0


class ViewAgreement:
    """Compute SCP's loss and its gradients for a batch of pairs.

    Parameters
    ----------
    head : nn.Module
        Features to logits.
    weights : LossWeights
        Of the three terms.
    confidence : {"mean_of_log", "log_of_mean"}
        Reading of the confidence loss.
    momentum : float in [0, 1)
        Share of the running mean prediction in the one whose entropy is taken; 0 takes the batch alone.
    """

    def __init__(
        self, head: nn.Module, *, weights: LossWeights, confidence: ConfidenceReading, momentum: float
    ) -> None:
        self.head = head
        self.weights = weights
        self.confidence = confidence
        self.momentum = momentum
        self._means: list[Tensor | None] = [None, None]

    def backward(self, pairs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Add the gradients of a batch of pairs (2 * batch, d) and return the loss, shape (1,), detached.

        With `targets` (batch,), the loss is the cross-entropy to these labels instead.
        """
        logits = self.head(pairs)
        if targets is not None:
            loss = cross_entropy(logits, targets.repeat(2))
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return loss.detach()[None]
        log_first, log_second = logits.log_softmax(dim=-1).chunk(2)
        balance = balance_entropy(self._log_mean(0, log_first), self._log_mean(1, log_second))
        confidence = confidence_loss(log_first, log_second, reading=self.confidence)
        agreement = view_cross_entropy(log_first, log_second)
        weights = self.weights
        loss = weights.cross_entropy * agreement + weights.confidence * confidence - weights.entropy * balance
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.detach()[None]

    def _log_mean(self, view: int, log_p: Tensor) -> Tensor:
        """Return the log of the mean prediction (n_clusters,): its value runs on, its gradient is the batch's."""
        if self.momentum == 0:
            return mean_log_probabilities(log_p)
        batch_mean = log_p.exp().mean(dim=0)
        running = self._means[view]
        blended = batch_mean.detach() if running is None else running.lerp(batch_mean.detach(), 1 - self.momentum)
        self._means[view] = blended
        mean = blended + (batch_mean - batch_mean.detach())
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()
