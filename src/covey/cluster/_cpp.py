"""CPP: a representation whose clusters are subspaces, and a membership that any number of clusters is made from.

`CPP` is the method, `RateReduction` a step of its training, `nested_labels` algorithm 1's labels for many numbers of
clusters; the equations are in `covey.objectives.cpp`, the spectral step in `covey.cluster._landmarks`.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from covey._arrays import iter_chunks, l2_normalize
from covey._torch import matmul_dtype, resolve_device, resolve_float64_device, to_numpy, to_tensor
from covey.cluster._base import Clusterer, check_n_clusters, predict_features, restored_on_failure
from covey.cluster._heads import HeadClusterer
from covey.cluster._kmeans import KMeans
from covey.cluster._landmarks import SpectralLabels, Spectrum, check_n_half_steps, memberships
from covey.cluster._parameters import checked, choice, flag, free, integer, parameters, real
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
from covey.objectives.cpp import coding_rate, doubly_stochastic, mlc_loss, similarity_scores
from covey.types import FloatArray, IntArray, Progress

_BLOCK_ENTRIES = 2**22

_PAPER: Final = {  # tables 7 and 8 of arXiv:2306.05272, appendix C
    "code_size": 128,
    "hidden_size": 4096,
    "heads": "two",
    "gamma": 0.175,
    "n_half_steps": 5,
    "eps_squared": 0.1,  # appendix F
    "membership_penalty": 0.0,
    "n_columns": None,
    "standardize": False,
    "batch_size": 1024,
    "optimizer": "sgd",
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "cluster_weight_decay": 5e-3,
    "schedule": "constant",
    "n_epochs": 5,
    "warmup": 1 / 5,  # 1 of 5 epochs
}

# What the authors' code adds and the paper does not mention: 0.05 times one half.
_CODE: Final = _PAPER | {"membership_penalty": 0.025}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-cifar10": _PAPER,
        "paper-cifar20": _PAPER | {"gamma": 0.13, "n_epochs": 15, "warmup": 1 / 15},
        "paper-cifar100": _PAPER | {"gamma": 0.1, "n_epochs": 50, "warmup": 1 / 50, "batch_size": 1500},
        "paper-imagenet": _PAPER
        | {"code_size": 1024, "hidden_size": 2048, "gamma": 0.12, "n_epochs": 20, "warmup": 2 / 20},
        "paper-coco": _PAPER | {"gamma": 0.12, "n_epochs": 20, "warmup": 1 / 20, "batch_size": 1200},
        "paper-laion": _PAPER
        | {"code_size": 1024, "hidden_size": 2048, "gamma": 0.09, "n_epochs": 20, "warmup": 2 / 20},
        # The README's CIFAR-10 command at cb39bdc: 15 epochs of 48 steps, of which 51 steps are warm-up.
        "official-code-cifar10": _CODE | {"n_epochs": 15, "warmup": 51 / 720},
        # Its ImageNet command, whose script trains one head: 20 epochs of 1,251 steps, 2,001 of them warm-up.
        "official-code-imagenet": _CODE
        | {
            "code_size": 1024,
            "hidden_size": 2048,
            "heads": "one",
            "gamma": 0.12,
            "n_epochs": 20,
            "warmup": 2001 / 25020,
        },
    }
)
"""Published settings: keywords of the constructor by the name of their source."""


@parameters
class CPP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HeadClusterer, Clusterer):  # type: ignore[misc]  # scikit-learn: no types
    """Cluster features by rate reduction, with the number of clusters chosen afterwards.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K. The training does not use it: `relabel` gives another number.
    code_size : int, default=128
        Width d of representation and code. At least `n_clusters`, for clusters to be orthogonal subspaces.
    hidden_size : int, default=1024
        Width of the two hidden layers.
    heads : {"two", "one"}, default="two"
        A feature head and a cluster head, or a single head whose output is both Z and C.
    gamma : float, default=0.15
        Regularization γ of the membership: larger makes it more even.
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
        Rows that represent all in the spectral step; where there are no more rows than these, it is exact.
    standardize : bool, default=True
        Whether features are z-scored with the training set's statistics.
    n_steps : int, default=200
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is ignored.
    warmup : float in [0, 1], default=0.1
        Share of the steps in which R alone is maximized; then the cluster head begins as a copy of the feature head.
        0 leaves both heads at random.
    batch_size : int, default=512
        Rows of a step; at most n_samples.
    optimizer : {"adam", "sgd"}, default="adam"
        With decoupled weight decay; or with momentum 0.9, as published.
    learning_rate : float, default=3e-4
        Of the optimizer.
    weight_decay : float, default=1e-4
        Of the network but for its cluster head.
    cluster_weight_decay : float, default=5e-3
        Of the cluster head.
    schedule : {"constant", "cosine"}, default="cosine"
        Of the learning rate: as it is, or to zero along half a cosine.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the network's products while training. Rates are float32, predictions float64.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches, columns and landmarks. See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each row of `X`.
    n_clusters_ : int
        Number of clusters of `labels_` and of `predict`: `n_clusters`, or what `relabel` got last.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1: softmax of the cosines between a row's spectral coordinates and the clusters' centers, over γ.
        None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    code_ : ndarray of shape (n_samples, code_size), dtype float32
        The code C of the rows, of unit length, from which memberships are computed.
    loss_history_ : ndarray of shape (n_epochs,), dtype float32
        Mean training loss of each pass, in nats; -R alone in the warm-up.
    diagnostics_ : dict
        JSON-compatible: ``coding_rate`` and ``cluster_coding_rate`` of the last pass, in nats; ``n_landmarks``;
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy``, ``kl_to_uniform``,
        ``n_empty_clusters``.

    See Also
    --------
    TEMI : Learns cluster probabilities from neighbors instead.

    Notes
    -----
    The method is that of [1]_, sections 3.1 and 3.2; its equations are in `covey.objectives.cpp`. A step takes
    O(n_columns batch d²) time, and memory that does not grow with the columns; the spectral step O(n m (d + m)) time
    and, besides the code, O(m²) memory.

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
    _if_collapsed: ClassVar = "Ask for fewer clusters (relabel), lower gamma, or train longer (n_steps)."

    n_clusters: int = integer(10)
    _: KW_ONLY
    code_size: int = integer(128)
    hidden_size: int = integer(1024)
    heads: CodeHeadsForm = choice("two", ("two", "one"))
    gamma: float = real(0.15, above=0.0)
    n_half_steps: int = checked(5, check_n_half_steps, "an odd integer of at least 1")
    eps_squared: float = real(0.1, above=0.0)
    membership_penalty: float = real(0.1)
    n_columns: int | None = integer(64, optional=True)
    n_landmarks: int = integer(1024)
    standardize: bool = flag(True)
    n_steps: int = integer(200)
    n_epochs: int | None = integer(None, optional=True)
    warmup: float = real(0.1, high=1.0)
    batch_size: int = integer(512, minimum=2)
    optimizer: Literal["adam", "sgd"] = choice("adam", ("adam", "sgd"))
    learning_rate: float = real(3e-4, above=0.0)
    weight_decay: float = real(1e-4)
    cluster_weight_decay: float = real(5e-3)
    schedule: Schedule = choice("cosine", ("constant", "cosine"))
    precision: str = free("auto")
    device: str = free("auto")
    random_state: Any = free(None)

    def relabel(self, n_clusters: int) -> Self:
        """Make another number of clusters from the membership, without training.

        Parameters
        ----------
        n_clusters : int
            The new number, at most n_samples.

        Returns
        -------
        self : CPP
            With `n_clusters_`, `labels_`, `probabilities_` and `diagnostics_` changed, and `predict` with them: as if
            it had been fitted so, unless there are more clusters than landmarks. The parameter `n_clusters` stays what
            the caller set. If anything fails, nothing is changed.

        Raises
        ------
        ValueError
            If there are fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        check_is_fitted(self)
        with restored_on_failure(self):
            self._label(self._network, check_n_clusters(n_clusters, len(self.code_)))
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
        ValueError
            If the width differs from the training rows'.
        """
        return self._outputs(predict_features(self, X), lambda network, rows: network.represent(rows))

    def encode(self, X: Any) -> FloatArray:
        """Map rows to the code C, from which memberships are computed.

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
        ValueError
            If the width differs from the training rows'.
        """
        return self._outputs(predict_features(self, X), lambda network, rows: network.encode(rows))

    def membership(self, X: Any, Y: Any = None) -> FloatArray:
        """Compute how much rows belong together.

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
        ValueError
            If a width differs from the training rows'.
        """
        C = self.encode(X)
        return memberships(C, C if Y is None else self.encode(Y), cast(CodeClusterer, self._head).labels.landmarks)

    @property
    def _network(self) -> CodeHeads:
        """The trained network."""
        return cast(CodeClusterer, self._head).network

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        if len(X) < 2:
            raise ValueError("X has 1 row (n_samples=1); CPP compares rows and needs at least 2.")
        device = resolve_device(self.device)
        weight_generator, generator = make_generators(self.random_state, device)
        rows = to_tensor(X, device)
        scale = FeatureScaling.fit(rows, standardize=self.standardize)
        network, history = self._train(scale(rows), weight_generator, generator, progress)

        # The code C of all rows, (n, d), and the eigenvectors of its membership.
        network.eval()
        code = np.concatenate([*iter_outputs(lambda rows: network.encode(scale(rows)), network, X, self.device)])
        n_landmarks = max(self.n_landmarks, n_clusters)
        sinkhorn = (self.gamma, self.n_half_steps)
        spectrum = Spectrum.fit(code, self.device, n_landmarks, sinkhorn=sinkhorn, seeds=weight_generator)

        self._n_features_out = self.code_size
        self._scale = scale
        self.code_ = code
        self._spectrum = spectrum
        self.loss_history_ = to_numpy(history[:, 0])
        self._training_diagnostics = {
            "coding_rate": float(history[-1, 1]),
            "cluster_coding_rate": float(history[-1, 2]),
            "n_landmarks": len(spectrum.landmarks.codes),
        }
        self._label(network.cpu(), n_clusters)

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
        """Cluster the codes and keep the labels; warn of empty clusters."""
        labels = self._spectrum.labels(self.code_, n_clusters, self.device)
        chunks = iter_outputs(lambda code: labels(code).softmax(dim=1), labels, self.code_, self.device)
        self.labels_, self.probabilities_, diagnostics = collect_predictions(chunks, len(self.code_))
        self.n_clusters_ = n_clusters
        self.diagnostics_ = {**self._training_diagnostics, **diagnostics}
        self._head = CodeClusterer(network, labels).cpu().double().eval()
        warn_if_collapsed(diagnostics, n_clusters, advice=self._if_collapsed)

    def _outputs(self, X: FloatArray, function: Callable[[CodeHeads, Tensor], Tensor]) -> FloatArray:
        """Return what a function of network and scaled rows gives for all rows (n, D)."""
        network = copy.deepcopy(self._network)  # it moves to the device
        return np.concatenate(
            [*iter_outputs(lambda rows: function(network, self._scale(rows)), network, X, self.device)]
        )


def nested_labels(cpp: CPP, candidates: Sequence[int]) -> Iterator[IntArray]:
    """Label the training rows with each of several numbers of clusters.

    Parameters
    ----------
    cpp : CPP
        Fitted; it is not changed.
    candidates : sequence of int
        Numbers of clusters, each from 1 to n_samples.

    Yields
    ------
    labels : ndarray of shape (n_samples,), dtype int64
        In the order of `candidates`; what ``cpp.relabel(k).labels_`` would be but for rounding. Fewer than k are in
        use where fewer rows differ.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    Eq. 6 of the paper. The eigenvectors are those of the fit and nested, the first k for k clusters; all rows are
    mapped to them once: O(n m (d + max k)) time for m landmarks, and then k-means alone for each candidate.
    """
    check_is_fitted(cpp)
    for n_clusters in candidates:
        check_n_clusters(n_clusters, len(cpp.code_))
    coordinates = _spectral_rows(cpp, max(candidates))
    for n_clusters in candidates:
        kmeans = KMeans(n_clusters, spherical=True, device=cpp.device, random_state=cpp._spectrum.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # too few distinct rows: the caller reports them
            yield kmeans.fit_predict(l2_normalize(coordinates[:, :n_clusters]))


def _spectral_rows(cpp: CPP, n_axes: int) -> FloatArray:
    """Return the first eigenvectors (n, n_axes), rows not yet of unit length."""
    device = resolve_float64_device(cpp.device)
    landmarks = cpp._spectrum.landmarks.to(device)
    axes = cpp._spectrum.axes[:, :n_axes].to(device, torch.float32)
    chunks = iter_chunks(len(cpp.code_), max(1, _BLOCK_ENTRIES // len(axes)))
    return np.concatenate([to_numpy(landmarks.membership(to_tensor(cpp.code_[c], device)) @ axes) for c in chunks])


class RateSettings(NamedTuple):
    """The settings of the loss; each as the parameter of `CPP` of its name."""

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
        eps_squared, penalty = self.settings.eps_squared, self.settings.membership_penalty
        if step < self.n_warmup:  # eq. 4: spread Z alone
            rate = coding_rate(self.network.represent(rows), eps_squared=eps_squared)
            loss, cluster_rate = -rate, torch.zeros_like(rate)
        else:
            if step == self.n_warmup > 0:
                self.network.copy_feature_head()  # section 3.2: C begins as Z
            Z, C = self.network(rows)  # (batch, d) each
            scores = similarity_scores(C, gamma=self.settings.gamma)  # |C Cᵀ| / γ, (batch, batch)
            membership = doubly_stochastic(scores, n_half_steps=self.settings.n_half_steps)  # Π, eq. 3
            columns = self._draw_columns(len(Z), Z.device)
            loss, rate, cluster_rate = mlc_loss(
                Z, membership, eps_squared=eps_squared, membership_penalty=penalty, columns=columns
            )  # eq. (MLC)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return torch.stack([loss, rate, cluster_rate]).detach()

    def _draw_columns(self, n: int, device: torch.device) -> Tensor | None:
        """Draw the columns of Π (n, n) from which R^c is estimated; None for all."""
        n_columns = self.settings.n_columns
        if n_columns is None or n_columns >= n:
            return None
        return torch.randperm(n, generator=self.generator, device=device)[:n_columns]


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


class CodeClusterer(nn.Module):
    """Map scaled rows to logits: a network's code, and its spectral labels.

    Parameters
    ----------
    network : CodeHeads
        Trained.
    labels : SpectralLabels
        Of codes.
    """

    def __init__(self, network: CodeHeads, labels: SpectralLabels) -> None:
        super().__init__()
        self.network = network
        self.labels = labels

    def forward(self, rows: Tensor) -> Tensor:
        """Map scaled rows (batch, n_features) to logits (batch, n_clusters)."""
        code = self.network.encode(rows).float().to(rows.dtype)  # as the estimator keeps it
        logits: Tensor = self.labels(code)
        return logits
