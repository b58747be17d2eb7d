"""SCAN: linear heads that give a row and its neighbours the same answer."""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from covey._torch import matmul_dtype, resolve_device, to_tensor
from covey.cluster._checks import check_n_clusters, fit_features
from covey.cluster._head_clusterer import StackClusterer
from covey.cluster._scan._checks import check_scan_parameters
from covey.cluster._scan._presets import PRESETS
from covey.cluster._scan._training import Optimizer, add_gradients, make_optimizer
from covey.cluster._training import iter_batches, make_generators, partner_table, train
from covey.nn import FeatureScaling, LinearHeads, Schedule, learning_rate_schedule
from covey.types import NeighborGraph, Progress


class SCAN(StackClusterer):
    """Cluster features by training linear heads on pairs of neighbours.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    n_heads : int, default=10
        Number of heads, H; the one with the lowest training loss answers.
    entropy_weight : float, default=5.0
        Weight λ of the entropy of the mean prediction. Larger makes clusters more even.
    n_neighbors : int, default=20
        Rows from which a row's partner is drawn. At most as many as a cluster has rows on average.
    include_self : bool, default=True
        Whether a row may be its own partner, in place of its last neighbour; so it is in SCAN.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    optimizer : {"adam", "sgd"}, default="adam"
        Which optimiser.
    momentum : float in [0, 1), default=0.9
        Of SGD; without effect on Adam.
    learning_rate : float, default=1e-3
        Whatever the batch size is.
    weight_decay : float, default=0.0
        Added to the gradient of all parameters.
    n_steps : int, default=1000
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is not looked at.
    batch_size : int, default=512
        Rows of a step, each with a neighbour; at most n_samples. Several times `n_clusters`, since the entropy is the
        batch's.
    schedule : {"cosine", "constant"}, default="cosine"
        What the learning rate does.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the matrix products while training; weights and losses are float32, predictions float64.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches and neighbours. The same seed gives the same labels on the same machine.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each training row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    best_head_ : int
        The head with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean training loss over the last tenth of the training, in nats; at least ``-entropy_weight * log(n_clusters)``.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    diagnostics_ : dict of str to float
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy`` in nats: how sure the
        predictions are; ``kl_to_uniform`` in nats: how uneven the cluster sizes are; ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    TEMI : Heads with teachers, which also weigh the pairs.

    Notes
    -----
    The clustering step of [1]_, section 2.2, on features that stay as they are: no augmentation, and not its third
    step, the training on the head's own sure labels. The entropy is that of the anchors in the batch alone, so many
    clusters need large batches. A step holds 2 · batch_size · n_heads · n_clusters probabilities a few times.

    Departs from the authors' code: the losses are exact where it clamps; the head is chosen by the training loss, where
    the code takes the lowest loss (with λ = 1) on the test rows after each pass; features are standardised, which
    learning rates hang on (the published 5 is for MoCo features; others took 30 on the unit rows of CLIP).
    Its two settings are `PRESETS`; the defaults were chosen without labels, by the loss of pairs that were not
    trained on: docs/methods/scan.md.

    References
    ----------
    .. [1] Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", ECCV 2020, arXiv:2005.12320.

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

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Raise entropy_weight or batch_size, train longer (n_steps), or ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        n_heads: int = 10,
        entropy_weight: float = 5.0,
        n_neighbors: int = 20,
        include_self: bool = True,
        standardize: bool = True,
        optimizer: Optimizer = "adam",
        momentum: float = 0.9,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        n_steps: int = 1000,
        n_epochs: int | None = None,
        batch_size: int = 512,
        schedule: Schedule = "cosine",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_heads = n_heads
        self.entropy_weight = entropy_weight
        self.n_neighbors = n_neighbors
        self.include_self = include_self
        self.standardize = standardize
        self.optimizer = optimizer
        self.momentum = momentum
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.n_steps = n_steps
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train the heads and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features as the backbone gave them.
        y : Ignored
            For scikit-learn's contract.
        neighbors : NeighborGraph, default=None
            Neighbours of the rows of `X`, if they are known already.
        progress : Progress, default=None
            Called after each pass.

        Returns
        -------
        self : SCAN
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `neighbors` describes other rows.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        X = fit_features(self, X)
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        check_scan_parameters(self.get_params())
        device = resolve_device(self.device)
        n_neighbors = min(self.n_neighbors, max(1 + self.include_self, len(X) // n_clusters))
        partners = partner_table(X, neighbors, n_neighbors, include_self=self.include_self, device=self.device)
        tensor = to_tensor(X, device)
        scaling = FeatureScaling.fit(tensor, standardize=self.standardize)
        heads, history = self._train(scaling(tensor), to_tensor(partners, device), progress)
        self._choose_head(history)
        self._answer(X, scaling, heads.single(self.best_head_))
        return self

    def _train(self, X: Tensor, partners: Tensor, progress: Progress | None) -> tuple[LinearHeads, Tensor]:
        """Train on scaled rows X with partners (n, k); return the heads and their losses (n_epochs, n_heads)."""
        device, dtype = X.device, matmul_dtype(X.device, self.precision)
        X = X.to(dtype)
        batch_size = min(self.batch_size, len(X))
        steps_per_epoch = len(X) // batch_size
        n_steps = self.n_steps if self.n_epochs is None else self.n_epochs * steps_per_epoch
        weight_generator, generator = make_generators(self.random_state, device)
        heads = LinearHeads(
            self.n_heads, X.shape[1], self.n_clusters, generator=weight_generator, compute_dtype=dtype
        ).to(device)

        def backward(rows: Tensor, _: int) -> Tensor:
            drawn = torch.randint(partners.shape[1], (len(rows),), generator=generator, device=device)
            pairs = X[torch.cat([rows, partners[rows, drawn]])]
            return add_gradients(heads, pairs, entropy_weight=self.entropy_weight)

        history, _ = train(
            backward,
            iter_batches(len(X), batch_size, generator=generator),
            make_optimizer(heads.parameters(), self.optimizer, momentum=self.momentum, weight_decay=self.weight_decay),
            n_steps=n_steps,
            steps_per_epoch=steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, n_steps, decay=self.schedule),
            progress=progress,
        )
        return heads, history
