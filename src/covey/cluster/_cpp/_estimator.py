"""CPP: a representation whose clusters are subspaces, and a membership that any number of clusters is cut from."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from covey._torch import matmul_dtype, resolve_device, to_numpy, to_tensor
from covey.cluster._checks import check_n_clusters, fit_features, predict_features
from covey.cluster._cpp._checks import check_cpp_parameters
from covey.cluster._cpp._code_clusterer import CodeClusterer
from covey.cluster._cpp._presets import PRESETS
from covey.cluster._cpp._training import RateReduction, RateSettings, make_optimizer
from covey.cluster._head_clusterer import HeadClusterer
from covey.cluster._landmarks import Spectrum, memberships
from covey.cluster._training import (
    collect_predictions,
    iter_batches,
    iter_outputs,
    make_generators,
    train,
    warn_if_collapsed,
)
from covey.nn import FeatureScaling, Schedule, learning_rate_schedule
from covey.nn.code_heads import CodeHeads, CodeHeadsForm
from covey.types import FloatArray, Progress


class CPP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HeadClusterer):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features by rate reduction, with the number of clusters chosen afterwards.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K. The training does not know it: see `relabel`.
    code_size : int, default=128
        Width d of representation and code. At least `n_clusters`, for clusters to be orthogonal subspaces.
    hidden_size : int, default=1024
        Width of the two hidden layers.
    heads : {"two", "one"}, default="two"
        A feature head and a cluster head, or a single head whose output is both Z and C.
    gamma : float, default=0.15
        Regularisation γ of the membership: larger makes it more even.
    n_half_steps : int, default=5
        Sinkhorn's scalings of rows and columns, odd; 1 is a softmax of rows.
    eps_squared : float, default=0.1
        Squared distortion ε² of the coding rates.
    membership_penalty : float, default=0.1
        Weight of the membership's squared norm, which makes it more even. The authors' code has it, at 0.025; the
        paper does not mention it. Ours was chosen without labels.
    n_columns : int or None, default=64
        Columns of the membership, drawn anew, from which a step estimates R^c without bias; None takes all.
    n_landmarks : int, default=1024
        Rows that stand for all in the spectral step; where there are no more rows than these, it is exact.
    standardize : bool, default=True
        Whether features are z-scored with the training set's statistics.
    n_steps : int, default=200
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is not looked at.
    warmup : float in [0, 1], default=0.1
        Share of the steps in which R alone is maximised; then the cluster head begins as a copy of the feature head.
        0 leaves both heads at random.
    batch_size : int, default=512
        Rows of a step; at most n_samples.
    optimizer : {"adam", "sgd"}, default="adam"
        With decoupled weight decay; or with momentum 0.9, as published.
    learning_rate : float, default=3e-4
        Of the optimizer.
    weight_decay, cluster_weight_decay : float, default=1e-4, 5e-3
        Of the network, and of its cluster head.
    schedule : {"cosine", "constant"}, default="cosine"
        What the learning rate does.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the network's products while training. Rates are float32, predictions float64.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches, columns and landmarks. The same seed gives the same labels on the same machine.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each row of `X`.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1: softmax of the cosines between a row's spectral coordinates and the clusters' centers, over γ.
        None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    code_ : ndarray of shape (n_samples, code_size), dtype float32
        The code C of the rows, unit length; what memberships are made of.
    loss_history_ : ndarray of shape (n_epochs,), dtype float32
        Mean training loss of each pass, in nats; -R alone in the warm-up.
    diagnostics_ : dict
        JSON-compatible: ``coding_rate`` and ``cluster_coding_rate`` of the last pass, in nats; ``n_landmarks``;
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy``, ``kl_to_uniform``,
        ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    TEMI : Learns cluster probabilities from neighbours instead.

    Notes
    -----
    The method is that of [1]_, sections 3.1 and 3.2. A step takes O(n_columns batch d²) time, and memory that does not
    grow with the columns; the spectral step O(n m (d + m)) time and, besides the code, O(m²) memory.

    Departs from the paper: rates have the factor 1/2 of the authors' code; the membership is of absolute cosines, as
    there; spectral clustering is of all rows through landmarks, not of a batch of the training; the defaults are a
    smaller network, Adam, a sample of columns and the penalty. `from_preset` has the published settings.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import CPP
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = CPP(2, code_size=8, hidden_size=16, n_steps=20, learning_rate=1e-2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = PRESETS
    """What `transform` gives may be drawn as features are."""
    _if_collapsed: ClassVar = "Ask for fewer clusters (relabel), lower gamma, or train longer (n_steps)."

    _head: CodeClusterer

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        code_size: int = 128,
        hidden_size: int = 1024,
        heads: CodeHeadsForm = "two",
        gamma: float = 0.15,
        n_half_steps: int = 5,
        eps_squared: float = 0.1,
        membership_penalty: float = 0.1,
        n_columns: int | None = 64,
        n_landmarks: int = 1024,
        standardize: bool = True,
        n_steps: int = 200,
        n_epochs: int | None = None,
        warmup: float = 0.1,
        batch_size: int = 512,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-4,
        cluster_weight_decay: float = 5e-3,
        schedule: Schedule = "cosine",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.code_size = code_size
        self.hidden_size = hidden_size
        self.heads = heads
        self.gamma = gamma
        self.n_half_steps = n_half_steps
        self.eps_squared = eps_squared
        self.membership_penalty = membership_penalty
        self.n_columns = n_columns
        self.n_landmarks = n_landmarks
        self.standardize = standardize
        self.n_steps = n_steps
        self.n_epochs = n_epochs
        self.warmup = warmup
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.cluster_weight_decay = cluster_weight_decay
        self.schedule = schedule
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> Self:
        """Train representation and code, and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, 2 rows or more.
        y : Ignored
            For scikit-learn's contract.
        progress : Progress, default=None
            Called after each pass.

        Returns
        -------
        self : CPP
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer than 2 rows.
        ConvergenceError
            If the training diverged.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        X = fit_features(self, X)
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        check_cpp_parameters(self.get_params())
        if len(X) < 2:
            raise ValueError("X has 1 row (n_samples=1); CPP compares rows and needs at least 2.")
        device = resolve_device(self.device)
        weight_generator, generator = make_generators(self.random_state, device)
        rows = to_tensor(X, device)
        scale = FeatureScaling.fit(rows, standardize=self.standardize)
        network, history = self._train(scale(rows), weight_generator, generator, progress)

        network.eval()
        code = np.concatenate([*iter_outputs(lambda rows: network.encode(scale(rows)), network, X, self.device)])
        sinkhorn = (self.gamma, self.n_half_steps)
        n_landmarks = max(self.n_landmarks, n_clusters)
        spectrum = Spectrum.fit(code, self.device, n_landmarks, sinkhorn=sinkhorn, seeds=weight_generator)
        self._n_features_out = self.code_size
        self._scale = scale
        self.code_ = code
        self._spectrum = spectrum
        self.loss_history_ = to_numpy(history[:, 0])
        self._facts = {
            "coding_rate": float(history[-1, 1]),
            "cluster_coding_rate": float(history[-1, 2]),
            "n_landmarks": len(spectrum.landmarks.codes),
        }
        self._label(network.cpu(), n_clusters)
        return self

    def relabel(self, n_clusters: int) -> Self:
        """Cut another number of clusters from the membership, without training.

        Parameters
        ----------
        n_clusters : int
            The new number, at most n_samples.

        Returns
        -------
        self : CPP
            With `n_clusters`, `labels_`, `probabilities_` and `diagnostics_` changed, and `predict` with them: as if it
            had been fitted so, unless there are more clusters than landmarks.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If there are fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        check_is_fitted(self)
        n_clusters = check_n_clusters(n_clusters, len(self.code_))
        self._label(self._head.network, n_clusters)
        self.n_clusters = n_clusters
        return self

    def transform(self, X: Any) -> FloatArray:
        """Map rows to the representation Z, in which clusters are nearly orthogonal subspaces.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        Z : ndarray of shape (n, code_size), dtype float32
            Unit rows. For image-to-image search, section 4.2 of the paper.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return self._outputs(predict_features(self, X), lambda network, rows: network.represent(rows))

    def encode(self, X: Any) -> FloatArray:
        """Map rows to the code C, from which memberships are made.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        C : ndarray of shape (n, code_size), dtype float32
            Unit rows; the same as `transform` gives if there is one head.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return self._outputs(predict_features(self, X), lambda network, rows: network.encode(rows))

    def membership(self, X: Any, Y: Any = None) -> FloatArray:
        """Give how much rows belong together.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.
        Y : array-like of shape (m, n_features), default=None
            Rows to compare with; None is `X`.

        Returns
        -------
        membership : ndarray of shape (n, m), dtype float32
            Rows sum to 1. Columns are weighted by the potentials that they have among the training rows, so a row's
            memberships do not depend on the other rows of `X`. Of all training rows with each other, it is Π.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If a width differs from the training rows'.
        """
        C = self.encode(X)
        return memberships(C, C if Y is None else self.encode(Y), self._head.labels.landmarks)

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _train(
        self, X: Tensor, weight_generator: torch.Generator, generator: torch.Generator, progress: Progress | None
    ) -> tuple[CodeHeads, Tensor]:
        """Train on scaled rows (n, D); return the network and the history (n_epochs, 3) of loss, R and R^c."""
        device = X.device
        shape, dtype = (X.shape[1], self.hidden_size, self.code_size), matmul_dtype(device, self.precision)
        network = CodeHeads(*shape, form=self.heads, generator=weight_generator, compute_dtype=dtype).to(device)
        batch_size = min(self.batch_size, len(X))
        steps_per_epoch = len(X) // batch_size
        n_steps = self.n_steps if self.n_epochs is None else self.n_epochs * steps_per_epoch
        settings = RateSettings(**{name: getattr(self, name) for name in RateSettings._fields})
        n_warmup = min(round(self.warmup * n_steps), n_steps - 1)
        reduction = RateReduction(network, settings=settings, n_warmup=n_warmup, generator=generator)
        history, _ = train(
            lambda rows, step: reduction.backward(X[rows], step),
            iter_batches(len(X), batch_size, generator=generator),
            make_optimizer(network, self.optimizer, decays=(self.weight_decay, self.cluster_weight_decay)),
            n_steps=n_steps,
            steps_per_epoch=steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, n_steps, decay=self.schedule),
            progress=progress,
        )
        return network, history

    def _label(self, network: CodeHeads, n_clusters: int) -> None:
        """Cluster the codes and keep the answer; warn of empty clusters."""
        labels = self._spectrum.labels(self.code_, n_clusters, self.device)
        chunks = iter_outputs(lambda code: labels(code).softmax(dim=1), labels, self.code_, self.device)
        self.labels_, self.probabilities_, diagnostics = collect_predictions(chunks, len(self.code_))
        self.diagnostics_ = {**self._facts, **diagnostics}
        self._head = CodeClusterer(network, labels).cpu().double().eval()
        warn_if_collapsed(diagnostics, n_clusters, advice=self._if_collapsed)

    def _outputs(self, X: FloatArray, function: Callable[[CodeHeads, Tensor], Tensor]) -> FloatArray:
        """Return what a function of network and scaled rows gives for all rows (n, D)."""
        network = copy.deepcopy(self._head.network)  # it moves to the device
        return np.concatenate(
            [*iter_outputs(lambda rows: function(network, self._scale(rows)), network, X, self.device)]
        )
