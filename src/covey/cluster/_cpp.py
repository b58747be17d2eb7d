"""CPP: a representation whose clusters are subspaces, and a membership that any number of clusters is made from.

`CPP` is the method, `RateReduction` a step of its training, `nested_labels` algorithm 1's labels for many numbers of
clusters; the equations are in `covey.objectives.cpp`, the spectral step in `covey.cluster._landmarks`.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from covey._torch import matmul_dtype, resolve_device, to_numpy, to_tensor
from covey.cluster._base import check_n_clusters, predict_features, restored_on_failure
from covey.cluster._heads import HeadClusterer
from covey.cluster._landmarks import (
    CodeClusterer,
    CodeNetwork,
    SpectralLabels,
    Spectrum,
    check_n_half_steps,
    memberships,
)
from covey.cluster._parameters import checked, choice, flag, free, integer, parameters, real
from covey.cluster._training import (
    collect_predictions,
    iter_batches,
    iter_outputs,
    make_generators,
    train,
    warn_if_collapsed,
)
from covey.metrics._information import neighbor_information
from covey.neighbors import nearest_neighbors
from covey.nn import FeatureScaling, Schedule, learning_rate_schedule
from covey.nn.code_heads import CodeHeads, CodeHeadsForm, LinearCodeHeads
from covey.objectives.cpp import coding_rate, doubly_stochastic, mlc_loss, similarity_scores, solve_gamma
from covey.types import FloatArray, IntArray, Progress

_FACTORS = (1.0, 1.5)  # perplexities to try, in rows of a batch a cluster
_OUTPUT_LENGTH = 0.003  # |W x| at the start, of |x|_1: a learning rate of 3e-4 moves a row by a tenth of its length
_LEAST_GAIN = 1.002  # of a later one: by less, rounding might choose
_GAMMA_ROWS = 128  # from which γ is solved in a step
_FINAL_GAMMA_ROWS = 512  # and after the training
_MOST_COLUMN_ENTRIES = 8192  # of n_columns times code_size
_MOST_HELD_OUT, _LEAST_TO_HOLD_OUT = 1024, 640  # rows
_INFORMATION_ROWS, _INFORMATION_NEIGHBORS = 4096, 10

_PAPER: Final = {  # tables 7 and 8 of arXiv:2306.05272, appendix C
    "network": "mlp",
    "code_size": 128,
    "hidden_size": 4096,
    "heads": "two",
    "similarity": "absolute_cosine",  # authors' code
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

# Our defaults until November 2026, chosen without labels: a smaller network, Adam, a sample of columns, the penalty.
_MLP: Final = _PAPER | {
    "hidden_size": 1024,
    "gamma": 0.15,
    "membership_penalty": 0.1,
    "n_columns": 64,
    "standardize": True,
    "batch_size": 512,
    "optimizer": "adam",
    "learning_rate": 3e-4,
    "schedule": "cosine",
    "n_epochs": None,
    "n_steps": 200,
    "warmup": 0.1,
}

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
        "mlp": _MLP,
    }
)
"""Published settings: keywords of the constructor by the name of their source."""


@parameters
class CPP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HeadClusterer):  # type: ignore[misc]  # scikit-learn: no types
    """Cluster features by rate reduction, with the number of clusters chosen afterwards.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K. With γ solved for a perplexity the training uses it, roughly; `relabel` gives another
        number without training.
    network : {"linear", "mlp"}, default="linear"
        Linear heads that begin as the principal axes, or the paper's network, which begins at random.
    code_size : int or None, default=None
        Width d of representation and code. None for the power of two of at least 2 K, for clusters to be orthogonal
        subspaces. Of linear heads at most n_features.
    hidden_size : int, default=1024
        Width of the two hidden layers of the MLP.
    heads : {"two", "one"}, default="two"
        A feature head and a cluster head, or a single head whose output is both Z and C.
    similarity : {"cosine", "absolute_cosine"}, default="cosine"
        Of codes. By the absolute cosine, as in the authors' code, opposite codes are as similar as equal ones.
    gamma : float or None, default=None
        Regularization γ of the membership: larger makes it more even. A fixed one amounts to a number of clusters,
        so None solves it in every step, and once after the training, for a perplexity.
    perplexity_factor : float or "auto", default="auto"
        Perplexity of a row of softmax(S / γ), as a multiple of the rows of a cluster, n / K. ``"auto"`` trains with 1
        and with 1.5, each without a fifth of the rows (at most 1,024), and keeps the one whose labels of these tell
        more about the labels of their neighbors. Ignored if `gamma` is given.
    n_half_steps : int, default=5
        Sinkhorn's scalings of rows and columns, odd; 1 is a softmax of rows.
    eps_squared : float, default=0.1
        Squared distortion ε² of the coding rates.
    membership_penalty : float, default=0.0
        Weight of the membership's squared norm, which makes it more even. The authors' code has it, at 0.025; the
        paper does not mention it.
    n_columns : int or "auto" or None, default="auto"
        Columns of the membership, drawn anew, from which a step estimates R^c without bias. ``"auto"`` takes 8192 / d,
        at least 32 and at most 256; None takes all.
    n_landmarks : int, default=1024
        Rows that represent all in the spectral step; where there are no more rows than these, it is exact.
    standardize : bool, default=True
        Whether features are z-scored with the training set's statistics.
    n_steps : int, default=200
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is ignored.
    warmup : float in [0, 1], default=0.0
        Share of the steps in which R alone is maximized; then the cluster head begins as a copy of the feature head.
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
        Of the MLP's products while training. Linear heads and rates are float32, predictions float64.
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
        ``gamma``, with which the clusters were made; ``perplexity_factor``, None if γ was given;
        ``neighbor_information`` in nats by perplexity factor, None if there was one alone;
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
    there; spectral clustering is of all rows through landmarks, not of a batch of the training. The defaults are ours:
    linear heads at the principal axes, the signed cosine, γ solved for a perplexity, Adam, a sample of columns, no
    warm-up. docs/methods/cpp.md says why. `from_preset` has the published settings, and with ``"mlp"`` our former
    defaults. The loss rewards clusters of one size in orthogonal subspaces; which rows belong together comes from the
    start.

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
    >>> labels = CPP(2, n_steps=20, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Ask for fewer clusters (relabel), lower gamma or perplexity_factor, or raise n_steps."

    n_clusters: int = integer(10)
    _: KW_ONLY
    network: Literal["linear", "mlp"] = choice("linear", ("linear", "mlp"))
    code_size: int | None = integer(None, optional=True)
    hidden_size: int = integer(1024)
    heads: CodeHeadsForm = choice("two", ("two", "one"))
    similarity: Literal["cosine", "absolute_cosine"] = choice("cosine", ("cosine", "absolute_cosine"))
    gamma: float | None = real(None, above=0.0, optional=True)
    perplexity_factor: float | Literal["auto"] = real("auto", above=0.0, words=("auto",))
    n_half_steps: int = checked(5, check_n_half_steps, "an odd integer of at least 1")
    eps_squared: float = real(0.1, above=0.0)
    membership_penalty: float = real(0.0)
    n_columns: int | Literal["auto"] | None = integer("auto", optional=True, words=("auto",))
    n_landmarks: int = integer(1024)
    standardize: bool = flag(True)
    n_steps: int = integer(200)
    n_epochs: int | None = integer(None, optional=True)
    warmup: float = real(0.0, high=1.0)
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
            With `n_clusters_`, `labels_`, `probabilities_` and `diagnostics_` changed, and `predict` with them. The
            parameter `n_clusters` stays what the caller set. If anything fails, nothing is changed.

        Raises
        ------
        ValueError
            If there are fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.

        Notes
        -----
        With a fixed `gamma` and `code_size` it is as if it had been fitted so, unless there are more clusters than
        landmarks. By default both follow `n_clusters`: for a number that is half or twice as large, fit again.
        """
        check_is_fitted(self)
        with restored_on_failure(self):
            n_wanted = check_n_clusters(n_clusters, len(self.code_))
            self._label(self._network, self._spectrum.labels(self.code_, n_wanted, self.device))
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
        """
        C = self.encode(X)
        return memberships(C, C if Y is None else self.encode(Y), cast(CodeClusterer, self._head).labels.landmarks)

    @property
    def _network(self) -> CodeNetwork:
        """The trained network."""
        return cast(CodeClusterer, self._head).network

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        check_n_clusters(self.n_clusters, len(X))
        if len(X) < 2:
            raise ValueError("X has 1 row (n_samples=1); CPP compares rows and needs at least 2.")
        device = resolve_device(self.device)
        generators = make_generators(self.random_state, device)
        scale = FeatureScaling.fit(to_tensor(X, device), standardize=self.standardize)

        # One training for each perplexity, all with the same batches; the one is kept whose labels of rows that were
        # not trained on tell most about the labels of their neighbors.
        factors = self._perplexity_factors()
        order, n_held_out = np.arange(len(X)), 0
        if len(factors) > 1:
            order, n_held_out = torch.randperm(len(X), generator=generators[0]).numpy(), _n_held_out(len(X))
        states = [generator.get_state() for generator in generators]
        solutions = []
        for index, factor in enumerate(factors):
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
            report = _part_of(progress, index, len(factors))
            solutions.append(self._solve(X, order[n_held_out:], scale, factor, generators=generators, progress=report))
        information = _rank(X, order[:_INFORMATION_ROWS], n_held_out, solutions, self.device)
        chosen = _first_best(information)

        network, code, spectrum, labels, history, factor = solutions[chosen]
        self._n_features_out = code.shape[1]
        self._scale, self._spectrum, self.code_ = scale, spectrum, code
        self.loss_history_ = to_numpy(history[:, 0])
        self._training_diagnostics = {
            "coding_rate": float(history[-1, 1]),
            "cluster_coding_rate": float(history[-1, 2]),
            "n_landmarks": len(spectrum.landmarks.codes),
            "gamma": spectrum.landmarks.gamma,
            "perplexity_factor": factor,
            "neighbor_information": dict(zip(map(str, factors), information, strict=True)),
        }
        self._label(network.cpu(), labels)

    def _perplexity_factors(self) -> list[float | None]:
        """Return the perplexities to try; None for a given γ."""
        if self.gamma is not None:
            return [None]
        return [*_FACTORS] if self.perplexity_factor == "auto" else [float(self.perplexity_factor)]

    def _solve(
        self,
        X: FloatArray,
        trained: IntArray,
        scale: FeatureScaling,
        factor: float | None,
        *,
        generators: tuple[torch.Generator, torch.Generator],
        progress: Progress | None,
    ) -> "_Solution":
        """Train on some of the rows for one perplexity, and cluster the code of all."""
        rows = scale(to_tensor(X if len(trained) == len(X) else X[trained], generators[1].device))
        network, history = self._train(rows, factor, generators, progress)

        # The code C of all rows, (n, d), and the eigenvectors of its membership.
        network.eval()
        code = np.concatenate([*iter_outputs(lambda rows: network.encode(scale(rows)), network, X, self.device)])
        gamma = self.gamma if factor is None else self._final_gamma(code, factor, generators[0])
        spectrum = Spectrum.fit(
            code,
            self.device,
            max(self.n_landmarks, self.n_clusters),
            sinkhorn=(cast(float, gamma), self.n_half_steps),
            seeds=generators[0],
            absolute=self.similarity == "absolute_cosine",
        )
        return _Solution(network, code, spectrum, spectrum.labels(code, self.n_clusters, self.device), history, factor)

    def _final_gamma(self, code: FloatArray, factor: float, seeds: torch.Generator) -> float:
        """Solve γ once more for the trained code (n, d), on a sample of its rows."""
        chosen = torch.randperm(len(code), generator=seeds)[:_FINAL_GAMMA_ROWS]
        C = torch.from_numpy(code)[chosen]
        cosines = similarity_scores(C, gamma=1.0, absolute=self.similarity == "absolute_cosine")
        return float(solve_gamma(cosines, perplexity=_perplexity(factor, len(C), self.n_clusters)))

    def _train(
        self,
        X: Tensor,
        factor: float | None,
        generators: tuple[torch.Generator, torch.Generator],
        progress: Progress | None,
    ) -> tuple[CodeNetwork, Tensor]:
        """Train on scaled rows (n, D); return the network and the history (n_epochs, 3) of loss, R and R^c."""
        network = self._make_network(X, generators[0]).to(X.device)
        batch_size = min(self.batch_size, len(X))
        steps_per_epoch = len(X) // batch_size
        n_steps = self.n_steps if self.n_epochs is None else self.n_epochs * steps_per_epoch
        code_size = network.feature_head.out_features
        settings = RateSettings(
            gamma=self.gamma,
            perplexity=None if factor is None else _perplexity(factor, batch_size, self.n_clusters),
            absolute=self.similarity == "absolute_cosine",
            n_half_steps=self.n_half_steps,
            eps_squared=self.eps_squared,
            membership_penalty=self.membership_penalty,
            n_columns=_auto_columns(code_size) if self.n_columns == "auto" else self.n_columns,
        )
        n_warmup = min(round(self.warmup * n_steps), n_steps - 1)
        reduction = RateReduction(network, settings=settings, n_warmup=n_warmup, generator=generators[1])
        history, _ = train(
            lambda rows, step: reduction.backward(X[rows], step),
            iter_batches(len(X), batch_size, generator=generators[1]),
            make_optimizer(network, self.optimizer, decays=(self.weight_decay, self.cluster_weight_decay)),
            n_steps=n_steps,
            steps_per_epoch=steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate, n_steps, decay=self.schedule),
            progress=progress,
        )
        return network, history

    def _make_network(self, X: Tensor, seeds: torch.Generator) -> CodeNetwork:
        """Make the network for scaled rows (n, D): random weights, or linear heads at the principal axes."""
        n_features = X.shape[1]
        code_size = self.code_size or 2 ** math.ceil(math.log2(2 * self.n_clusters))
        if self.network == "mlp":
            dtype = matmul_dtype(X.device, self.precision)
            shape = (n_features, self.hidden_size, code_size)
            return CodeHeads(*shape, form=self.heads, generator=seeds, compute_dtype=dtype)
        axes = FeatureScaling.fit(X, n_components=code_size, standardize=False).axes
        axes = torch.eye(n_features) if axes is None else axes.float()
        # Adam moves W x by up to learning_rate |x|_1 a step: scaled so, that is the same share of any row's length.
        length = (X @ axes.to(X.device)).norm(dim=1).mean().clamp(min=torch.finfo(torch.float32).tiny)
        scale = (_OUTPUT_LENGTH * X.abs().sum(dim=1).mean() / length).cpu()
        return LinearCodeHeads(scale * axes, form=self.heads)

    def _label(self, network: CodeNetwork, labels: SpectralLabels) -> None:
        """Keep the labels of the codes; warn of empty clusters."""
        n_clusters = len(labels.centers)
        chunks = iter_outputs(lambda code: labels(code).softmax(dim=1), labels, self.code_, self.device)
        self.labels_, self.probabilities_, diagnostics = collect_predictions(chunks, len(self.code_))
        self.n_clusters_ = n_clusters
        self.diagnostics_ = {**self._training_diagnostics, **diagnostics}
        self._head = CodeClusterer(network, labels).cpu().double().eval()
        warn_if_collapsed(diagnostics, n_clusters, advice=self._if_collapsed)

    def _outputs(self, X: FloatArray, function: Callable[[CodeNetwork, Tensor], Tensor]) -> FloatArray:
        """Return what a function of network and scaled rows gives for all rows (n, D)."""
        network = copy.deepcopy(self._network)  # it moves to the device
        parts = iter_outputs(lambda rows: function(network, self._scale(rows)), network, X, self.device)
        return np.concatenate([*parts])


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
    Eq. 6 of the paper. O(n m (d + max k)) time for m landmarks, and then k-means alone for each candidate.
    """
    check_is_fitted(cpp)
    for n_clusters in candidates:
        check_n_clusters(n_clusters, len(cpp.code_))
    yield from cpp._spectrum.nested_labels(cpp.code_, candidates, cpp.device)


class _Solution(NamedTuple):
    """A training, the code of all rows, and their clusters."""

    network: CodeNetwork
    code: FloatArray
    spectrum: Spectrum
    labels: SpectralLabels
    history: Tensor
    factor: float | None


def _perplexity(factor: float, n_rows: int, n_clusters: int) -> float:
    """Return how many of `n_rows` rows one belongs with: a multiple of those of a cluster, at least 2, never all."""
    return min(max(factor * n_rows / n_clusters, 2.0), 0.9 * n_rows)


def _auto_columns(code_size: int) -> int:
    """Return how many columns estimate R^c, so that a step costs about the same for any width."""
    return max(32, min(256, _MOST_COLUMN_ENTRIES // code_size))


def _part_of(progress: Progress | None, index: int, n_parts: int) -> Progress | None:
    """Return a progress callback for one of several trainings of equal length."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(stage, done + index * (total or 0), total and n_parts * total)


def _n_held_out(n_rows: int) -> int:
    """Return how many rows are left out of the training to choose the perplexity: a fifth, of few rows none."""
    return min(n_rows // 5, _MOST_HELD_OUT) if n_rows >= _LEAST_TO_HOLD_OUT else 0


def _rank(
    X: FloatArray, sample: IntArray, n_held_out: int, solutions: Sequence[_Solution], device: str
) -> list[float | None]:
    """Return the neighbor information of each of several solutions; of one alone it is not computed.

    Neighbors are searched within a sample of rows (m,), whose first `n_held_out` were not trained on and count; all
    count if there are none.
    """
    if len(solutions) == 1:
        return [None]
    n_neighbors = min(_INFORMATION_NEIGHBORS, len(sample) - 1)
    table = nearest_neighbors(X[sample], n_neighbors=n_neighbors, device=device).indices[: n_held_out or None]
    found: list[float | None] = []
    for solution in solutions:
        parts = iter_outputs(solution.labels, solution.labels, solution.code[sample], device)
        labels = np.concatenate([part.argmax(axis=1) for part in parts])
        found.append(neighbor_information(labels[: len(table)], labels[table]))
    return found


def _first_best(information: Sequence[float | None]) -> int:
    """Return the place of the largest number; a later one must exceed those before it by more than rounding."""
    best = 0
    for place, value in enumerate(information[1:], start=1):
        if cast(float, value) > _LEAST_GAIN * cast(float, information[best]):
            best = place
    return best


class RateSettings(NamedTuple):
    """The settings of the loss; those of a name as the parameter of `CPP`, `perplexity` in rows of a batch."""

    gamma: float | None
    n_half_steps: int
    eps_squared: float
    membership_penalty: float
    n_columns: int | None
    perplexity: float | None = None
    absolute: bool = True


class RateReduction:
    """Compute CPP's loss and its gradients for a batch.

    Parameters
    ----------
    network : CodeHeads or LinearCodeHeads
        Features to representation and code.
    settings : RateSettings
        Of the loss.
    n_warmup : int
        Steps in which the representation alone is spread; then the code begins as the representation.
    generator : torch.Generator
        On the device of the rows; draws the columns.
    """

    def __init__(
        self, network: CodeNetwork, *, settings: RateSettings, n_warmup: int, generator: torch.Generator
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
            scores = self._scores(C)  # S / γ, (batch, batch)
            membership = doubly_stochastic(scores, n_half_steps=self.settings.n_half_steps)  # Π, eq. 3
            columns = self._draw_columns(len(Z), Z.device)
            loss, rate, cluster_rate = mlc_loss(
                Z, membership, eps_squared=eps_squared, membership_penalty=penalty, columns=columns
            )  # eq. (MLC)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return torch.stack([loss, rate, cluster_rate]).detach()

    def _scores(self, C: Tensor) -> Tensor:
        """Return the cosines of codes (batch, d) over a γ that is given, or solved for the perplexity."""
        gamma, perplexity, absolute = self.settings.gamma, self.settings.perplexity, self.settings.absolute
        if gamma is not None:
            return similarity_scores(C, gamma=gamma, absolute=absolute)
        cosines = similarity_scores(C, gamma=1.0, absolute=absolute)
        rows = cosines.detach()[:_GAMMA_ROWS]  # of a random batch
        return cosines / solve_gamma(rows, perplexity=cast(float, perplexity))

    def _draw_columns(self, n: int, device: torch.device) -> Tensor | None:
        """Draw the columns of Π (n, n) from which R^c is estimated; None for all."""
        n_columns = self.settings.n_columns
        if n_columns is None or n_columns >= n:
            return None
        return torch.randperm(n, generator=self.generator, device=device)[:n_columns]


def make_optimizer(network: CodeNetwork, kind: str, *, decays: tuple[float, float]) -> torch.optim.Optimizer:
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
