"""SCP: one clustering head that gives two views of a picture the same sure answer."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor
from torch.nn.functional import normalize

from covey._torch import matmul_dtype, resolve_device, to_numpy, to_tensor
from covey.cluster._checks import check_n_clusters, fit_features, predict_features
from covey.cluster._head_clusterer import HeadClusterer
from covey.cluster._scp._checks import check_scp_parameters, check_views
from covey.cluster._scp._presets import PRESETS
from covey.cluster._scp._training import (
    LossWeights,
    PairSource,
    Scaling,
    ViewAgreement,
    fit_row_scaling,
    start_labels,
)
from covey.cluster._training import (
    adamw,
    iter_batches,
    make_generators,
    partner_table,
    train,
)
from covey.nn import Activation, ClusterMLP, Norm, Schedule, learning_rate_schedule
from covey.objectives.scp import ConfidenceReading
from covey.types import FloatArray, NeighborGraph, Progress


class SCP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HeadClusterer):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features by training one head to agree on two views of each row.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    hidden_sizes : sequence of int, default=(1024, 786, 512, 1024)
        Widths of the head's hidden layers.
    activation : {"relu", "gelu", "silu"}, default="relu"
        After each hidden layer.
    norm : {"batch", "layer", "none"}, default="batch"
        Before each activation.
    scaling : {"standardize", "l2", "none"}, default="standardize"
        What is done to features first: z-scored with the training set's statistics, scaled to unit length, nothing.
    alpha : float, default=2.0
        Weight α of the entropy term. Larger makes clusters more even; 0.5 and less collapses.
    cross_entropy_weight, confidence_weight : float, default=1.0, 1.0
        Weights of the two terms that pull views together; 0 leaves one out, as the paper's ablations do.
    confidence : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        Reading of the confidence loss, see `covey.objectives.confidence_loss`.
    balance_momentum : float in [0, 1), default=0.0
        Share of the running mean prediction in the one whose entropy is taken. Above 0 where a batch has few rows for
        each cluster.
    n_neighbors : int, default=20
        Neighbours that stand in for views if there are none. At most as many as a cluster has rows on average.
    init : {"kmeans", "random"}, default="kmeans"
        How the head begins: with a tenth of the steps spent on learning the labels of a k-means, or at random.
    n_steps : int, default=500
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is not looked at.
    batch_size : int, default=512
        Rows of a step; at most n_samples.
    learning_rate : float, default=1e-3
        Of Adam.
    weight_decay : float, default=0.0
        Decoupled; biases are spared.
    schedule : {"cosine", "constant"}, default="cosine"
        What the learning rate does.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the matrix products while training; predictions are float64.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches and views. The same seed gives the same labels on the same machine.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each row of `X`.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    loss_history_ : ndarray of shape (n_epochs,), dtype float32
        Mean training loss of each pass, in nats.
    diagnostics_ : dict
        JSON-compatible: ``pairs`` says where the views came from, ``"views"`` or ``"neighbors"``;
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy`` and ``kl_to_uniform`` in nats,
        ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    TEMI : An ensemble of heads that weighs its pairs.

    Notes
    -----
    The method is that of [1]_, section 3. Concatenating the features of several backbones gives its SCP-MIX.

    Departs from the paper: without `views`, neighbours stand in for them; the head begins with the clusters of k-means
    unless ``init="random"``, from where it may merge two clusters for good; losses are means over the batch, where
    the printed sums would drown the entropy term; a pair is always two different views; layers have batch norm, of
    which the paper says nothing. The paper reports the best of 50 runs; expect less from one.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.

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

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Raise alpha, train longer (n_steps), or ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        hidden_sizes: Sequence[int] = (1024, 786, 512, 1024),
        activation: Activation = "relu",
        norm: Norm = "batch",
        scaling: Scaling = "standardize",
        alpha: float = 2.0,
        cross_entropy_weight: float = 1.0,
        confidence_weight: float = 1.0,
        confidence: ConfidenceReading = "mean_of_log",
        balance_momentum: float = 0.0,
        n_neighbors: int = 20,
        init: Literal["kmeans", "random"] = "kmeans",
        n_steps: int = 500,
        n_epochs: int | None = None,
        batch_size: int = 512,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "cosine",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.hidden_sizes = hidden_sizes
        self.activation = activation
        self.norm = norm
        self.scaling = scaling
        self.alpha = alpha
        self.cross_entropy_weight = cross_entropy_weight
        self.confidence_weight = confidence_weight
        self.confidence = confidence
        self.balance_momentum = balance_momentum
        self.n_neighbors = n_neighbors
        self.init = init
        self.n_steps = n_steps
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        views: Any = None,
        neighbors: NeighborGraph | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train the head and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of the pictures as they are.
        y : Ignored
            For scikit-learn's contract.
        views : array-like of shape (n_samples, n_views, n_features), default=None
            Features of augmented copies, two or more of each row. If None, a row and one of its neighbours make a pair.
        neighbors : NeighborGraph, default=None
            Neighbours of the rows of `X`, if they are known already; not looked at if there are views.
        progress : Progress, default=None
            Called after each pass.

        Returns
        -------
        self : SCP
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `views` or `neighbors` describe other rows.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        X = fit_features(self, X)
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        check_scp_parameters(self.get_params())
        device = resolve_device(self.device)
        weight_generator, generator = make_generators(self.random_state, device)
        scale = fit_row_scaling(to_tensor(X, device), self.scaling)
        if views is None:
            n_neighbors = min(self.n_neighbors, max(1, len(X) // n_clusters))
            table = partner_table(X, neighbors, n_neighbors, include_self=False, device=self.device)
            bank, partners = X, to_tensor(table, device)
        else:
            bank, partners = check_views(views, X), None
        source = PairSource(scale(to_tensor(bank, device)), partners, generator)
        start = start_labels(scale(to_tensor(X, device)), n_clusters, generator) if self.init == "kmeans" else None
        head, history = self._train(source, start, weight_generator, progress)

        self._n_features_out = n_clusters
        self.loss_history_ = to_numpy(history[:, 0])
        self._answer(X, scale, head, pairs="neighbors" if views is None else "views")
        return self

    def transform(self, X: Any) -> FloatArray:
        """Map rows to where similar pictures are close: the head's outputs, scaled to unit length.

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
        self, source: PairSource, start: Tensor | None, weight_generator: torch.Generator, progress: Progress | None
    ) -> tuple[ClusterMLP, Tensor]:
        """Train on the pairs of `source`; return the head and the loss history (n_epochs, 1).

        `start` holds labels (n,) to begin with.
        """
        n_rows, device = len(source.X), source.X.device
        head = ClusterMLP(
            source.X.shape[-1],
            self.hidden_sizes,
            self.n_clusters,
            activation=self.activation,
            norm=self.norm,
            generator=weight_generator,
            compute_dtype=matmul_dtype(device, self.precision),
        ).to(device)
        weights = LossWeights(self.cross_entropy_weight, self.confidence_weight, self.alpha)
        agreement = ViewAgreement(head, weights=weights, confidence=self.confidence, momentum=self.balance_momentum)
        batch_size = min(self.batch_size, n_rows)
        steps_per_epoch = n_rows // batch_size
        n_steps = self.n_steps if self.n_epochs is None else self.n_epochs * steps_per_epoch
        n_start_steps = 0 if start is None else n_steps // 10

        def backward(rows: Tensor, step: int) -> Tensor:
            targets = start[rows] if start is not None and step < n_start_steps else None
            return agreement.backward(source.draw(rows), targets)

        history, _ = train(
            backward,
            iter_batches(n_rows, batch_size, generator=source.generator),
            adamw([head], weight_decay=self.weight_decay),
            n_steps=n_steps,
            steps_per_epoch=steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, n_steps, decay=self.schedule),
            progress=progress,
        )
        return head, history
