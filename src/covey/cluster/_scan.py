"""SCAN's clustering step: linear heads that predict the same cluster for a row and its neighbors [1]_.

Its equation is `covey.objectives.scan.scan_loss`; here are the estimator, its training and published settings.

.. [1] Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", ECCV 2020, arXiv:2005.12320.
"""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, get_args

import torch
from torch import Tensor, nn

from covey._torch import matmul_dtype, resolve_device, to_tensor
from covey.cluster._base import NeighborClusterer, check_n_clusters
from covey.cluster._heads import StackClusterer
from covey.cluster._parameters import choice, flag, free, integer, parameters, real
from covey.cluster._training import (
    Precision,
    TrainingLength,
    iter_batches,
    make_generators,
    partner_table,
    train,
)
from covey.nn import FeatureScaling, LinearHeads, Schedule, learning_rate_schedule
from covey.objectives import scan_loss
from covey.types import FloatArray, NeighborGraph, Progress

Optimizer = Literal["adam", "sgd"]

# The clustering step as the authors' configurations have it (configs/scan at 57dff92). Their lists of neighbors begin
# with the row itself: 21 and 51 partners for the paper's 20 and 50 neighbors.
_PAPER: Final = {
    "entropy_weight": 5.0,
    "include_self": True,
    "standardize": False,
    "schedule": "constant",
}
_IMAGENET: Final = _PAPER | {  # a linear layer on a frozen network
    "n_heads": 10,
    "n_neighbors": 51,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 5.0,
    "weight_decay": 0.0,
    "n_epochs": 100,
}
_SMALL: Final = _PAPER | {  # there the whole network is trained
    "n_heads": 1,
    "n_neighbors": 21,
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "batch_size": 128,
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-small": _SMALL | {"n_epochs": 50},  # CIFAR-10
        "paper-stl10": _SMALL | {"n_epochs": 100},
        "paper-cifar20": _SMALL | {"n_epochs": 100, "batch_size": 512},
        "paper-imagenet": _IMAGENET | {"batch_size": 512},  # 50 classes
        "paper-imagenet200": _IMAGENET | {"batch_size": 1024},  # 100 and 200 classes
    }
)
"""Keywords of the constructor by the name of their source."""


@parameters
class SCAN(StackClusterer, NeighborClusterer):
    """Cluster features by training linear heads on pairs of neighbors.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    n_heads : int, default=10
        Number of heads, H; the one with the lowest training loss is kept.
    entropy_weight : float, default=5.0
        Weight λ of the entropy of the mean prediction. Larger makes clusters more even.
    n_neighbors : int, default=20
        Rows from which a row's partner is drawn. At most as many as a cluster has rows on average.
    include_self : bool, default=True
        Whether a row may be its own partner, in place of its last neighbor, as in SCAN.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    optimizer : {"adam", "sgd"}, default="adam"
        Optimizer, of which both have the weight decay in the gradient.
    momentum : float in [0, 1], default=0.9
        Momentum of SGD; ignored by Adam.
    learning_rate : float, default=0.001
        Learning rate; it does not depend on the batch size.
    weight_decay : float, default=0.0
        Added to the gradient of all parameters.
    n_steps : int, default=1000
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is ignored.
    batch_size : int, default=512
        Rows of a step, each with a neighbor; at most n_samples. Several times `n_clusters`, since the entropy is the
        batch's.
    schedule : {"constant", "cosine"}, default="cosine"
        Learning rate over the course of the training.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the matrix products in training; weights and losses are float32, predictions float64.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each training row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you need.
    best_head_ : int
        The head with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean training loss over the last tenth of the training, in nats; at least ``-entropy_weight * log(n_clusters)``.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    diagnostics_ : dict
        See the glossary.

    See Also
    --------
    TEMI : Heads with teachers, which also weigh the pairs.

    Notes
    -----
    The clustering step of Van Gansbeke et al., section 2.2, on features that stay as they are: no augmentation, and not
    its third step, the training on the head's own sure labels. The entropy is that of the anchors in the batch alone,
    so many clusters need large batches. A step holds 2 · batch_size · n_heads · n_clusters probabilities a few times.

    Departs from the authors' code: the losses are exact where it clamps; the head is chosen by the training loss, where
    the code takes the lowest loss (with λ = 1) on the test rows after each pass; features are standardized, which
    learning rates depend on (the published 5 is for MoCo features; others took 30 on the unit rows of CLIP).
    Its two settings are `PRESETS`; the defaults were chosen without labels, by the loss of pairs that were not
    trained on: docs/methods/scan.md.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SCAN
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = SCAN(n_clusters=2, n_steps=200, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(10)
    _: KW_ONLY
    n_heads: int = integer(10)
    entropy_weight: float = real(5.0)
    n_neighbors: int = integer(20)
    include_self: bool = flag(True)
    standardize: bool = flag(True)
    optimizer: Optimizer = choice("adam", of=get_args(Optimizer))
    momentum: float = real(0.9, high=1.0)
    learning_rate: float = real(1e-3, above=0.0)
    weight_decay: float = real(0.0)
    n_steps: int = integer(1000)
    n_epochs: int | None = integer(None, optional=True)
    batch_size: int = integer(512)
    schedule: Schedule = choice("cosine", of=get_args(Schedule))
    precision: Precision = choice("auto", of=get_args(Precision))
    device: str = free("auto")
    random_state: Any = free(None)

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Raise entropy_weight or batch_size, train longer (n_steps), or ask for fewer clusters."

    def _fit(self, X: FloatArray, *, neighbors: NeighborGraph | None, progress: Progress | None) -> None:
        n_clusters, device = check_n_clusters(self.n_clusters, len(X)), resolve_device(self.device)
        # 1. Find the neighbors that make a pair with each row, in the features as they came: (n, k).
        n_neighbors = min(self.n_neighbors, max(1 + self.include_self, len(X) // n_clusters))
        partners = partner_table(X, neighbors, n_neighbors, include_self=self.include_self, device=self.device)
        # 2. Scale the rows, and train the heads on them: losses (n_epochs, n_heads).
        rows = to_tensor(X, device)
        scaling = FeatureScaling.fit(rows, standardize=self.standardize)
        heads, history = self._train(scaling(rows), to_tensor(partners, device), progress)
        # 3. Keep the head with the lowest late loss; it labels the rows.
        self._choose_head(history)
        self._keep_head(X, scaling, heads.single(self.best_head_))

    def _train(self, X: Tensor, partners: Tensor, progress: Progress | None) -> tuple[LinearHeads, Tensor]:
        """Train on scaled rows X with partners (n, k); return the heads and their losses (n_epochs, n_heads)."""
        device, dtype = X.device, matmul_dtype(X.device, self.precision)
        X = X.to(dtype)
        length = TrainingLength.of(len(X), self.batch_size, self.n_steps, self.n_epochs)
        weight_generator, generator = make_generators(self.random_state, device)
        heads = LinearHeads(
            self.n_heads, X.shape[1], self.n_clusters, generator=weight_generator, compute_dtype=dtype
        ).to(device)

        def backward(rows: Tensor, _: int) -> Tensor:
            # A neighbor of each row, drawn anew; the pairs (2 * batch, d).
            drawn = torch.randint(partners.shape[1], (len(rows),), generator=generator, device=device)
            pairs = X[torch.cat([rows, partners[rows, drawn]])]
            return add_gradients(heads, pairs, entropy_weight=self.entropy_weight)

        history, _ = train(
            backward,
            iter_batches(len(X), length.batch_size, generator=generator),
            make_optimizer(heads.parameters(), self.optimizer, momentum=self.momentum, weight_decay=self.weight_decay),
            n_steps=length.n_steps,
            steps_per_epoch=length.steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, length.n_steps, decay=self.schedule),
            progress=progress,
        )
        return heads, history


def add_gradients(heads: LinearHeads, pairs: Tensor, *, entropy_weight: float) -> Tensor:
    """Add the gradients of a batch of pairs (2 * batch, d) and return each head's loss, (n_heads,), detached.

    The samples come first in `pairs`, then a neighbor of each. Losses are summed, so heads stay independent.
    """
    log_p = heads(pairs)  # (n_heads, 2 * batch, n_clusters)
    losses = scan_loss(*log_p.chunk(2, dim=1), entropy_weight=entropy_weight)  # eq. 2: (n_heads,)
    losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return losses.detach()


def make_optimizer(
    parameters: Iterable[nn.Parameter], optimizer: Optimizer, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Make Adam or SGD, both with the decay in the gradient; the rate is set at each step."""
    if optimizer == "adam":
        return torch.optim.Adam(parameters, lr=0.0, weight_decay=weight_decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=momentum, weight_decay=weight_decay)
