"""SCP: clustering heads that give two views of an image the same sure prediction [1]_.

Its equations are the functions of `covey.objectives.scp`; here are the estimator, its training and published settings.

.. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn
from torch.nn.functional import normalize

from covey._arrays import check_features
from covey._torch import matmul_dtype, resolve_device, to_tensor
from covey.cluster._base import NeighborClusterer, check_n_clusters, predict_features
from covey.cluster._heads import RowScaling, StackClusterer
from covey.cluster._parameters import check_integer, checked, choice, free, integer, parameters, real
from covey.cluster._training import (
    Precision,
    TrainingLength,
    adamw,
    iter_batches,
    kmeans_starts,
    make_generators,
    partner_table,
    train,
)
from covey.nn import Activation, ClusterMLPHeads, FeatureScaling, Norm, Schedule, learning_rate_schedule
from covey.objectives import mean_log_probabilities, scp_loss
from covey.objectives.scp import ConfidenceReading
from covey.types import FloatArray, NeighborGraph, Progress

Scaling = Literal["standardize", "l2", "none"]
Start = Literal["kmeans", "random"]

_PAPER: Final = {  # section 4.1.2
    "n_heads": 1,
    "hidden_sizes": (1024, 786, 512, 1024),
    "activation": "relu",  # the paper says "non-linear"; the work that it builds on has ReLU
    "norm": "none",
    "scaling": "none",
    "alpha": 1.0,
    "confidence": "log_of_mean",  # eq. 4 as printed
    "balance_momentum": 0.0,
    "init": "random",
    "n_epochs": 30,
    "batch_size": 512,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "cosine",
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-cifar10": _PAPER,
        "paper-stl10": _PAPER,
        "paper-imagenet10": _PAPER,
        "paper-cifar20": _PAPER | {"alpha": 2.0},
        # Figure 2 counts 77 steps an epoch for 19,500 images, which is a batch of 256 and not the 512 of the text.
        "paper-imagenet-dogs": _PAPER | {"alpha": 2.0},
        "paper-cifar100": _PAPER | {"alpha": 3.0},
    }
)
"""Keywords of the constructor by the name of their source."""


def _check_sizes(_: str, sizes: Any) -> None:
    for size in sizes:
        check_integer("A hidden size", size, minimum=1)


@parameters
class SCP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, StackClusterer, NeighborClusterer):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features by training heads to agree on two views of each row.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    n_heads : int, default=8
        Number of last layers on the same hidden layers, H, each with a start of its own; the one with the lowest
        training loss is kept. The paper has 1.
    hidden_sizes : sequence of int, default=(1024, 786, 512, 1024)
        Widths of the hidden layers.
    activation : {"relu", "gelu", "silu"}, default="relu"
        After each hidden layer.
    norm : {"batch", "layer", "none"}, default="batch"
        Before each activation.
    scaling : {"standardize", "l2", "none"}, default="standardize"
        Scaling of the features: z-scored with the training set's statistics, scaled to unit length, none.
    alpha : float, default=2.0
        Weight α of the entropy term. Larger makes clusters more even; 0.5 and less collapses.
    cross_entropy_weight : float, default=1.0
        Weight of eq. 3, which pulls views together; 0 leaves it out, as the paper's ablation does.
    confidence_weight : float, default=1.0
        Weight of eq. 4, which pulls views together and makes predictions sure; 0 leaves it out.
    confidence : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        Reading of the confidence loss, see `covey.objectives.confidence_loss`.
    balance_momentum : float in [0, 1], default=0.0
        Share of the running mean prediction in the one whose entropy is taken. Above 0 where a batch has few rows for
        each cluster.
    n_neighbors : int, default=20
        Neighbors that are taken for views if there are none. At most as many as a cluster has rows on average.
    init : {"kmeans", "random"}, default="kmeans"
        Start of each head: in a tenth of the steps it learns the labels of a short spherical k-means of its own on the
        scaled rows; or at random.
    n_steps : int, default=500
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is ignored.
    batch_size : int, default=512
        Rows of a step; at most n_samples.
    learning_rate : float, default=0.001
        Learning rate of Adam.
    weight_decay : float, default=0.0
        Decoupled weight decay; biases have none.
    schedule : {"constant", "cosine"}, default="cosine"
        Learning rate over the course of the training.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the matrix products in training; predictions are float64.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each row of `X`.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you need.
    best_head_ : int
        The head with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean training loss over the last tenth of the training, in nats; at least ``-2 * alpha * log(n_clusters)``.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    diagnostics_ : dict
        See the glossary; with ``pairs``, the source of the views: ``"views"`` or ``"neighbors"``.

    See Also
    --------
    TEMI : An ensemble of heads that weighs its pairs.

    Notes
    -----
    The method is that of Li et al., section 3. Concatenating the features of several backbones gives its SCP-MIX.

    Departs from the paper: without `views`, neighbors are taken for them; there are several heads, since the end of one
    follows its start; they start from the clusters of k-means unless ``init="random"``, from where a head may merge two
    clusters for good; losses are means over the batch, where
    the printed sums would drown the entropy term; a pair is always two different views; layers have batch norm, of
    which the paper says nothing. The paper reports the best of 50 runs; expect less from one.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SCP
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = SCP(n_clusters=2, hidden_sizes=(16,), n_steps=60, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(10)
    _: KW_ONLY
    n_heads: int = integer(8)
    hidden_sizes: Sequence[int] = checked((1024, 786, 512, 1024), _check_sizes, "a sequence of integers of at least 1")
    activation: Activation = choice("relu", of=get_args(Activation))
    norm: Norm = choice("batch", of=get_args(Norm))
    scaling: Scaling = choice("standardize", of=get_args(Scaling))
    alpha: float = real(2.0)
    cross_entropy_weight: float = real(1.0)
    confidence_weight: float = real(1.0)
    confidence: ConfidenceReading = choice("mean_of_log", of=get_args(ConfidenceReading))
    balance_momentum: float = real(0.0, high=1.0)
    n_neighbors: int = integer(20)
    init: Start = choice("kmeans", of=get_args(Start))
    n_steps: int = integer(500)
    n_epochs: int | None = integer(None, optional=True)
    batch_size: int = integer(512)
    learning_rate: float = real(1e-3, above=0.0)
    weight_decay: float = real(0.0)
    schedule: Schedule = choice("cosine", of=get_args(Schedule))
    precision: Precision = choice("auto", of=get_args(Precision))
    device: str = free("auto")
    random_state: Any = free(None)

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Raise alpha, train longer (n_steps), or ask for fewer clusters."

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        views: Any = None,
        neighbors: NeighborGraph | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Cluster the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of the images as they are.
        y : Ignored
            See the glossary.
        views : array-like of shape (n_samples, n_views, n_features), default=None
            Features of augmented copies, two or more of each row. If None, a row and one of its neighbors make a pair.
        neighbors : NeighborGraph, default=None
            Neighbors of the rows of `X`, if they are known already; ignored if there are views.
        progress : Progress, default=None
            Called with the name of a stage, the steps done and their number.

        Returns
        -------
        self : SCP
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        TypeError, ValueError
            If a parameter or `X` is not allowed, or `views` or `neighbors` describe other rows.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        return self._fit_whole(X, views=views, neighbors=neighbors, progress=progress)

    def _fit(self, X: FloatArray, *, views: Any, neighbors: NeighborGraph | None, progress: Progress | None) -> None:
        n_clusters, device = check_n_clusters(self.n_clusters, len(X)), resolve_device(self.device)
        weight_generator, generator = make_generators(self.random_state, device)
        scale = fit_row_scaling(to_tensor(X, device), self.scaling)
        # 1. The source of pairs: views (n, n_views, d), or rows (n, d) and the neighbors of each (n, k).
        if views is None:
            n_neighbors = min(self.n_neighbors, max(1, len(X) // n_clusters))
            table = partner_table(X, neighbors, n_neighbors, include_self=False, device=self.device)
            bank, partners = X, to_tensor(table, device)
        else:
            bank, partners = _check_views(views, X), None
        source = PairSource(scale(to_tensor(bank, device)), partners, generator)
        # 2. Labels (n_heads, n) that the heads start from.
        rows = scale(to_tensor(X, device))
        start = start_labels(rows, n_clusters, self.n_heads, generator) if self.init == "kmeans" else None
        # 3. Train the heads: losses (n_epochs, n_heads). The one with the lowest late loss labels the rows.
        heads, history = self._train(source, start, weight_generator, progress)
        self._n_features_out = n_clusters
        self._choose_head(history)
        self._keep_head(X, scale, heads.single(self.best_head_), pairs="neighbors" if views is None else "views")

    def transform(self, X: Any) -> FloatArray:
        """Map rows to where similar images are close: the head's outputs, scaled to unit length.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        Z : ndarray of shape (n, n_clusters), dtype float32
            For image-to-image search, appendix A.1 of the paper.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return np.concatenate([*self._iter_outputs(predict_features(self, X), lambda z: normalize(z, dim=1))])

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _train(
        self, source: "PairSource", start: Tensor | None, weight_generator: torch.Generator, progress: Progress | None
    ) -> tuple[ClusterMLPHeads, Tensor]:
        """Train on the pairs of `source`; return the heads and their losses (n_epochs, n_heads).

        `start` holds the labels (n_heads, n) that they start from.
        """
        n_rows, device = len(source.X), source.X.device
        heads = ClusterMLPHeads(
            source.X.shape[-1],
            self.hidden_sizes,
            self.n_clusters,
            n_heads=self.n_heads,
            activation=self.activation,
            norm=self.norm,
            generator=weight_generator,
            compute_dtype=matmul_dtype(device, self.precision),
        ).to(device)
        weights = LossWeights(self.cross_entropy_weight, self.confidence_weight, self.alpha)
        agreement = ViewAgreement(heads, weights=weights, confidence=self.confidence, momentum=self.balance_momentum)
        length = TrainingLength.of(n_rows, self.batch_size, self.n_steps, self.n_epochs)
        n_start_steps = 0 if start is None else length.n_steps // 10

        def backward(rows: Tensor, step: int) -> Tensor:
            targets = start[:, rows] if start is not None and step < n_start_steps else None
            return agreement.backward(source.draw(rows), targets)

        history, _ = train(
            backward,
            iter_batches(n_rows, length.batch_size, generator=source.generator),
            adamw([heads], weight_decay=self.weight_decay),
            n_steps=length.n_steps,
            steps_per_epoch=length.steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, length.n_steps, decay=self.schedule),
            progress=progress,
        )
        return heads, history


def _check_views(views: Any, X: FloatArray) -> FloatArray:
    """Return views (n, n_views, d) as float32 if they describe the rows of X (n, d)."""
    array = np.asarray(views)
    if array.ndim != 3 or array.shape[0] != X.shape[0] or array.shape[2] != X.shape[1] or array.shape[1] < 2:
        raise ValueError(
            f"views has shape {array.shape}; for X of shape {X.shape} it must be "
            f"({X.shape[0]}, n_views, {X.shape[1]}) with two views or more."
        )
    return check_features(array.reshape(-1, X.shape[1]), name="views").reshape(array.shape)


def fit_row_scaling(X: Tensor, scaling: Scaling) -> RowScaling:
    """Return the function that scales rows (n, d), or views of them (n, n_views, d), for the head."""
    if scaling == "l2":
        return unit_rows
    return FeatureScaling.fit(X, standardize=scaling == "standardize")


def unit_rows(X: Tensor) -> Tensor:
    """Scale rows to unit length."""
    return normalize(X, dim=-1)


def start_labels(X: Tensor, n_clusters: int, n_heads: int, generator: torch.Generator) -> Tensor:
    """Return the labels (n_heads, n) of as many short spherical k-means on scaled rows (n, d)."""
    seeds = torch.randint(2**31, (n_heads,), generator=generator, device=generator.device).tolist()
    return kmeans_starts(X, n_clusters, seeds, spherical=True)


class PairSource:
    """Draw two views of each row: of its augmented copies, or the row and one of its neighbors.

    Parameters
    ----------
    X : Tensor of shape (n, d), or (n, n_views, d)
        Rows; or the views of each.
    partners : Tensor of shape (n, k), dtype int64, or None
        Rows that are taken for a second view; None if `X` holds views.
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
    """Weights of the terms of SCP's loss; the paper's ablations leave some out."""

    cross_entropy: float = 1.0
    confidence: float = 1.0
    entropy: float = 1.0


class ViewAgreement:
    """Compute SCP's loss and its gradients for a batch of pairs.

    Parameters
    ----------
    head : nn.Module
        Features (2 * batch, d) to logits (..., 2 * batch, n_clusters): those of one head, or of several.
    weights : LossWeights
        Of the three terms.
    confidence : {"mean_of_log", "log_of_mean"}
        Reading of the confidence loss.
    momentum : float in [0, 1]
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
        """Add the gradients of a batch of pairs (2 * batch, d) and return the loss of each head, (n_heads,), detached.

        With `targets` (..., batch), the loss is the cross-entropy to these labels instead. Losses are summed, so heads
        meet in the hidden layers alone.
        """
        log_p = self.head(pairs).log_softmax(dim=-1)  # (..., 2 * batch, n_clusters)
        if targets is None:
            losses = self._losses(*log_p.chunk(2, dim=-2))  # (...)
        else:
            both = torch.cat([targets, targets], dim=-1)  # (..., 2 * batch)
            losses = -log_p.gather(-1, both[..., None]).mean(dim=(-2, -1))
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return losses.detach().reshape(-1)

    def _losses(self, log_first: Tensor, log_second: Tensor) -> Tensor:
        """Return the loss (eq. 6) of each head, from log-probabilities (..., batch, n_clusters) of two views."""
        return scp_loss(
            log_first,
            log_second,
            alpha=self.weights.entropy,
            reading=self.confidence,
            cross_entropy_weight=self.weights.cross_entropy,
            confidence_weight=self.weights.confidence,
            log_means=(self._log_mean(0, log_first), self._log_mean(1, log_second)),
        )

    def _log_mean(self, view: int, log_p: Tensor) -> Tensor:
        """Return the log of the mean prediction (..., n_clusters): a running one by value, the batch's by gradient."""
        if self.momentum == 0:
            return mean_log_probabilities(log_p)
        batch_mean = log_p.exp().mean(dim=-2)
        running = self._means[view]
        blended = batch_mean.detach() if running is None else running.lerp(batch_mean.detach(), 1 - self.momentum)
        self._means[view] = blended
        mean = blended + (batch_mean - batch_mean.detach())
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()
