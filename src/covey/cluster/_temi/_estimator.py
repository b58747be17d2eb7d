"""TEMI: clustering heads that learn from pairs of nearest neighbours."""

from typing import Any, ClassVar, Literal, Self

import torch
from sklearn.base import clone
from torch import Tensor

from covey._torch import matmul_dtype, resolve_device, to_tensor
from covey.cluster._checks import check_n_clusters, fit_features, predict_features
from covey.cluster._head_clusterer import StackClusterer
from covey.cluster._temi._beta import BETAS, BetaSweep, select_beta
from covey.cluster._temi._checks import check_partners, check_temi_parameters
from covey.cluster._temi._presets import PRESETS
from covey.cluster._temi._training import (
    Loss,
    Objective,
    SelfDistillation,
    chunk_heads,
    pick_head,
    start_from_kmeans,
    weigh_pairs,
)
from covey.cluster._training import (
    adamw,
    iter_batches,
    make_generators,
    partner_table,
    stalls,
    train,
)
from covey.nn import FeatureScaling, Schedule, StackedHeads, learning_rate_schedule
from covey.types import FloatArray, IntArray, NeighborGraph, Progress

_SCOUT_HEADS = 4  # of the sweep over β


class TEMI(StackClusterer):
    """Cluster features by training an ensemble of heads on nearest-neighbour pairs.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, C.
    n_heads : int, default=16
        Number of heads, H; the one with the lowest training loss answers.
    objective : {"temi", "wpmi", "pmi", "scan"}, default="temi"
        Pairs weighted by all heads, by each head itself, not at all; or SCAN's loss in the same frame.
    beta : float in (0.5, 1] or "auto", default=0.6
        Exponent β. Nearer to 0.5 clusters become more balanced and predictions less sure; 1 is for many more clusters
        than classes, some of which may stay empty. ``"auto"`` lets `select_beta` choose, which trains seven times with
        a few heads.
    entropy_weight : float, default=4.0
        Weight λ of the entropy term of ``objective="scan"``; without effect otherwise.
    n_neighbors : int, default=50
        Neighbours of a row from which its partner is drawn. At most as many as a cluster has rows on average.
    include_self : bool, default=False
        Whether a row may be its own partner, in place of its last neighbour.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    n_components : int or None, default=128
        Principal axes that the heads see; None for the features themselves.
    init : {"kmeans", "random"}, default="kmeans"
        How heads begin: each with the clusters of its own short k-means, as directions of its last layer; or at random.
    n_steps : int, default=150
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is not looked at.
    tol : float or None, default=None
        The training ends early once a tenth of its length has lowered the mean loss of the heads by less than this, in
        nats. None for never.
    batch_size : int, default=512
        Rows of a step, each with a neighbour; at most n_samples.
    learning_rate : float, default=1e-3
        Of AdamW, for 256 rows; it grows in proportion to the batch.
    weight_decay : float, default=1e-4
        Of AdamW; biases are spared.
    warmup : float in [0, 1], default=0.1
        Share of the training in which the learning rate rises.
    schedule : {"constant", "cosine"}, default="constant"
        What the learning rate does afterwards.
    temperature : float, default=0.1
        Temperature τ of the softmax.
    teacher_momentum : float in [0, 1), default=0.98
        Share of the teacher that stays at a step.
    prior_momentum : float in [0, 1), default=0.9
        Share of the running class prior that stays at a step.
    hidden_size, bottleneck_size : int, default=512, 256
        Widths of the heads' inner layers.
    weight_norm : bool, default=True
        Whether the rows of the last layer have unit length up to a learned factor.
    frozen_last_layer : float in [0, 1], default=0.0
        Share of the training, from its start, in which the last layer is not trained.
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
        Mean training loss over the last tenth of the training, in nats.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    beta_ : float
        The β of the training.
    beta_sweep_ : BetaSweep or None
        How ``beta="auto"`` was decided; also in `diagnostics_`.
    n_steps_ : int
        Steps that were made; fewer than asked if `tol` ended the training.
    diagnostics_ : dict
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy`` in nats: how sure the
        predictions are; ``kl_to_uniform`` in nats: how uneven the cluster sizes are; ``n_empty_clusters``;
        ``beta``, and ``beta_sweep`` if there was one. JSON-compatible.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    covey.cluster.KMeans : Faster, without training; assumes round clusters.

    Notes
    -----
    The method is that of [1]_, section 3; the default settings need a small part of its work (`PRESETS` has the
    paper's). A step costs about 7 · batch_size · n_heads · (d h + h b + b C) multiplications, h and b being the
    inner widths.

    Departs from the paper: rows and their neighbours come from one random draw on the device.
    Departs from the authors' code: the losses are in log space; a row is never its own neighbour unless asked for;
    constant dimensions do not become infinite; a batch larger than the data is cut to the data.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import TEMI
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = TEMI(n_clusters=2, n_heads=2, n_steps=60, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Train longer (n_steps), lower beta towards 0.5, or ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        n_heads: int = 16,
        objective: Objective = "temi",
        beta: float | Literal["auto"] = 0.6,
        entropy_weight: float = 4.0,
        n_neighbors: int = 50,
        include_self: bool = False,
        standardize: bool = True,
        n_components: int | None = 128,
        init: Literal["kmeans", "random"] = "kmeans",
        n_steps: int = 150,
        n_epochs: int | None = None,
        tol: float | None = None,
        batch_size: int = 512,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        warmup: float = 0.1,
        schedule: Schedule = "constant",
        temperature: float = 0.1,
        teacher_momentum: float = 0.98,
        prior_momentum: float = 0.9,
        hidden_size: int = 512,
        bottleneck_size: int = 256,
        weight_norm: bool = True,
        frozen_last_layer: float = 0.0,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_heads = n_heads
        self.objective = objective
        self.beta = beta
        self.entropy_weight = entropy_weight
        self.n_neighbors = n_neighbors
        self.include_self = include_self
        self.standardize = standardize
        self.n_components = n_components
        self.init = init
        self.n_steps = n_steps
        self.n_epochs = n_epochs
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.schedule = schedule
        self.temperature = temperature
        self.teacher_momentum = teacher_momentum
        self.prior_momentum = prior_momentum
        self.hidden_size = hidden_size
        self.bottleneck_size = bottleneck_size
        self.weight_norm = weight_norm
        self.frozen_last_layer = frozen_last_layer
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
        self : TEMI
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
        check_temi_parameters(self.get_params())
        device = resolve_device(self.device)
        sweep = self._sweep(X, neighbors) if self.beta == "auto" else None
        beta = float(self.beta) if sweep is None else sweep.beta
        n_neighbors = min(self.n_neighbors, max(1, len(X) // n_clusters))
        partners = partner_table(X, neighbors, n_neighbors, include_self=self.include_self, device=self.device)
        tensor = to_tensor(X, device)
        scaling = FeatureScaling.fit(tensor, n_components=self.n_components, standardize=self.standardize)
        teachers, history, self.n_steps_ = self._train(scaling(tensor), to_tensor(partners, device), beta, progress)
        self._choose_head(history)
        self._teachers = [teacher.cpu() for teacher in teachers]
        self.beta_, self.beta_sweep_ = beta, sweep
        facts: dict[str, Any] = {"beta": beta} if sweep is None else {"beta": beta, "beta_sweep": sweep.to_dict()}
        self._answer(X, scaling, pick_head(self._teachers, self.best_head_), **facts)
        return self

    def weigh_pairs(self, X: Any, partners: IntArray) -> FloatArray:
        """Tell how likely rows share a cluster, in the eyes of all teacher heads.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.
        partners : ndarray of shape (n, k), dtype int64
            Rows of `X` that make a pair with each row, its neighbours for one.

        Returns
        -------
        weights : ndarray of shape (n, k), dtype float32
            Eq. 10's weight in [0, 1]: 1/H Σ_j Σ_c q_j(c|x) q_j(c|x').

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `partners` has other rows than `X`, or names a row that `X` does not have.
        """
        X = predict_features(self, X)
        check_partners(partners, len(X))
        return weigh_pairs(self._teachers, self._scale(to_tensor(X, torch.device("cpu"))), partners)

    def _sweep(self, X: FloatArray, neighbors: NeighborGraph | None) -> BetaSweep:
        """Choose β by trainings with fewer heads."""
        scout = clone(self).set_params(beta=BETAS[-1], n_heads=min(self.n_heads, _SCOUT_HEADS))
        return select_beta(X, scout, neighbors=neighbors)

    def _train(
        self, X: Tensor, partners: Tensor, beta: float, progress: Progress | None
    ) -> tuple[list[StackedHeads], Tensor, int]:
        """Train on scaled rows X; return the teachers, in chunks, the losses (n_epochs, n_heads) and the steps made."""
        device, dtype, n_clusters = X.device, matmul_dtype(X.device, self.precision), self.n_clusters
        X = X.to(dtype)
        batch_size = min(self.batch_size, len(X))
        steps_per_epoch = len(X) // batch_size
        n_steps = self.n_steps if self.n_epochs is None else self.n_epochs * steps_per_epoch
        weight_generator, generator = make_generators(self.random_state, device)
        students = [
            StackedHeads(
                n_heads,
                X.shape[1],
                n_clusters,
                hidden_size=self.hidden_size,
                bottleneck_size=self.bottleneck_size,
                temperature=self.temperature,
                weight_norm=self.weight_norm,
                generator=weight_generator,
                compute_dtype=dtype,
            ).to(device)
            for n_heads in chunk_heads(self.n_heads, 2 * batch_size * n_clusters, device)
        ]
        if self.init == "kmeans":
            start_from_kmeans(students, X, n_clusters, weight_generator)
        distillation = SelfDistillation(
            students,
            loss=Loss(self.objective, beta, self.entropy_weight),
            prior_momentum=self.prior_momentum,
        )

        def backward(rows: Tensor, step: int) -> Tensor:
            drawn = torch.randint(partners.shape[1], (len(rows),), generator=generator, device=device)
            losses = distillation.backward(X[torch.cat([rows, partners[rows, drawn]])])
            if step < self.frozen_last_layer * n_steps:
                distillation.forget_last_gradients()
            return losses

        history, n_made = train(
            backward,
            iter_batches(len(X), batch_size, generator=generator),
            adamw(distillation.students, weight_decay=self.weight_decay),
            n_steps=n_steps,
            steps_per_epoch=steps_per_epoch,
            rate_at=learning_rate_schedule(
                self.learning_rate * batch_size / 256, n_steps, warmup=self.warmup, decay=self.schedule
            ),
            after_step=lambda: distillation.update_teachers(self.teacher_momentum),
            stop=stalls(self.tol, n_steps=n_steps, steps_per_epoch=steps_per_epoch),
            progress=progress,
        )
        return distillation.teachers, history, n_made
