"""TURTLE: the labeling that linear classifiers of every feature space learn most easily [1]_.

Its equations are the functions of `covey.objectives.turtle`; here are the estimator, its training, and how settings are
chosen without labels.

.. [1] A. Gadetsky, Y. Jiang and M. Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024,
   arXiv:2406.07236.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from torch import Tensor, nn

from covey._arrays import check_features, draw_seed
from covey._torch import resolve_device, to_tensor
from covey.cluster._base import check_n_clusters
from covey.cluster._heads import StackClusterer
from covey.cluster._parameters import check_integer, checked, choice, flag, free, integer, parameters, real
from covey.cluster._training import TrainingLength, iter_batches, make_generators, train
from covey.nn import FeatureScaling, Schedule, learning_rate_schedule
from covey.objectives import classifier_loss, mean_labels, turtle_loss
from covey.types import FloatArray, IntArray, Progress

ClassifierStart = Literal["zero", "random", "last"]

_SHORTEST = 1e-12  # of a mean row, against 1 / 0


def _check_widths(name: str, widths: Any) -> None:
    for width in widths or ():
        check_integer(name, width, minimum=1)


@parameters
class TURTLE(StackClusterer):
    """Cluster features so that linear classifiers learn the clusters easily.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    n_heads : int, default=4
        Labelings that are trained side by side, each with classifiers of its own; the one with the lowest loss is kept.
    spaces : sequence of int or None, default=None
        Widths of the feature spaces whose columns are side by side in `X`, as when the features of several backbones
        are joined; they add up to the width of a row. None: one space.
    entropy_weight : float, default=10.0
        Weight γ of the entropy of the mean labels. Larger makes clusters more even.
    n_inner_steps : int, default=3
        Steps M that the classifiers learn between two steps of the labeling.
    classifier_init : {"zero", "random", "last"}, default="zero"
        Start of the classifiers in each step of the labeling: at zero, at random, or where they were (warm start).
    inner_budget : float, default=8.0
        The most that the inner steps together change a classifier's logit of a row of mean length, in nats.
    learning_rate : float, default=2.0
        The most that a step changes the labeling's logit of a row of mean length, in nats.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    n_steps : int, default=200
        Steps of the labeling, T.
    batch_size : int, default=1024
        Rows of a step; at most n_samples. Many times `n_clusters`, since the entropy is the batch's.
    schedule : {"constant", "cosine"}, default="cosine"
        Learning rate of the labeling over the course of the training.
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
        The labeling with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean outer loss over the last tenth of the training, in nats.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean outer loss of each pass, in nats: the classifiers' cross-entropy, summed over spaces, minus γ times the
        entropy of the mean labels.
    diagnostics_ : dict
        See the glossary; with ``classifier_loss`` and ``balance``, the two terms in the last pass.

    See Also
    --------
    select_turtle : Choose settings without labels.
    TEMI : Learns from neighbors.

    Notes
    -----
    The labeling tau(x) is the mean over spaces of tau_k(x) = softmax(theta_k x_k); the classifiers w_k minimize the
    cross-entropy with tau by a few steps of Adam, and tau minimizes what they are left with, summed over spaces, minus
    γ times the entropy of the mean of tau. The classifiers count as given in the outer step, so the gradient passes
    through the labels alone.

    A step of Adam with rate r changes the logit of a row x by up to r · |x|_1, so a rate means little without the width
    of the features: here rates are given in nats and divided by the mean |x|_1 of all spaces together. The inner steps
    must change little: classifiers with a large budget learn any labels, and then all labelings are equally good.

    Departs from the paper: features are z-scored; γ, budgets and lengths are ours; the outer rate decays; several
    labelings are trained and one is kept.
    O(n_heads n_steps n_inner_steps batch_size n_features n_clusters) time.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import TURTLE
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = TURTLE(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(10)
    _: KW_ONLY
    n_heads: int = integer(4)
    spaces: Sequence[int] | None = checked(None, _check_widths, "a sequence of integers of at least 1, or None")
    entropy_weight: float = real(10.0)
    n_inner_steps: int = integer(3)
    classifier_init: ClassifierStart = choice("zero", of=get_args(ClassifierStart))
    inner_budget: float = real(8.0, above=0.0)
    learning_rate: float = real(2.0, above=0.0)
    standardize: bool = flag(True)
    n_steps: int = integer(200)
    batch_size: int = integer(1024)
    schedule: Schedule = choice("cosine", of=get_args(Schedule))
    device: str = free("auto")
    random_state: Any = free(None)

    _if_collapsed: ClassVar = "Raise entropy_weight or batch_size, train longer (n_steps), or ask for fewer clusters."

    def _fit(self, X: FloatArray, *, progress: Progress | None) -> None:
        check_n_clusters(self.n_clusters, len(X))
        spaces = check_spaces(self.spaces, X.shape[1])
        # 1. Scale the rows, and train the labelings on them: their two terms, (n_epochs, 2, n_heads).
        rows = to_tensor(X, resolve_device(self.device))
        scaling = FeatureScaling.fit(rows, standardize=self.standardize)
        encoder, terms = self._train(scaling(rows), spaces, progress)
        # 2. Keep the labeling with the lowest late loss; its most probable label is a row's cluster.
        self._choose_head(terms[:, 0] - self.entropy_weight * terms[:, 1])
        cross_entropy, balance = terms[-1, :, self.best_head_].tolist()
        self._keep_head(X, scaling, encoder.single(self.best_head_), classifier_loss=cross_entropy, balance=balance)

    def _train(self, X: Tensor, spaces: list[int], progress: Progress | None) -> tuple["TaskEncoder", Tensor]:
        """Train on scaled rows X; return the labelings and their terms (n_epochs, 2, n_heads)."""
        length = TrainingLength.of(len(X), self.batch_size, self.n_steps, None)
        weight_generator, generator = make_generators(self.random_state, X.device)
        encoder = TaskEncoder(spaces, self.n_clusters, n_heads=self.n_heads, generator=weight_generator).to(X.device)
        # A rate of r changes the logit of a row by up to r · |x|_1, so one nat is a rate of 1 / mean |x|_1.
        nat = 1 / max(float(X.abs().sum(dim=1).mean()), _SHORTEST)
        learners = self._iter_classifiers(spaces, nat, weight_generator, X.device)

        def backward(rows: Tensor, _: int) -> Tensor:
            # The inner problem for the labels of a batch (n_heads, batch, n_clusters), then a gradient of the outer.
            batch, (classifiers, optimizer) = X[rows], next(learners)
            with torch.no_grad():
                labels = encoder(batch).exp()
            fit_classifiers(classifiers, batch, labels, optimizer, n_steps=self.n_inner_steps)
            return add_task_gradients(encoder, classifiers, batch, entropy_weight=self.entropy_weight)

        history, _ = train(
            backward,
            iter_batches(len(X), length.batch_size, generator=generator),
            torch.optim.Adam(encoder.parameters(), lr=0.0, fused=True),
            n_steps=length.n_steps,
            steps_per_epoch=length.steps_per_epoch,
            rate_at=learning_rate_schedule(self.learning_rate * nat, length.n_steps, decay=self.schedule),
            progress=progress,
        )
        return encoder, history

    def _iter_classifiers(
        self, spaces: list[int], nat: float, generator: torch.Generator, device: torch.device
    ) -> Iterator[tuple["LinearSpaces", torch.optim.Optimizer]]:
        """Yield the classifiers to train and their optimizer: always the same, or new ones."""
        draws = None if self.classifier_init == "zero" else generator
        rate = nat * self.inner_budget / self.n_inner_steps
        while True:
            classifiers = LinearSpaces(spaces, self.n_clusters, n_heads=self.n_heads, generator=draws).to(device)
            optimizer = torch.optim.Adam(classifiers.parameters(), lr=rate, fused=True)
            yield classifiers, optimizer
            while self.classifier_init == "last":
                yield classifiers, optimizer


def check_spaces(spaces: Sequence[int] | None, n_features: int) -> list[int]:
    """Return the widths of the feature spaces; raise if they do not add up to `n_features`."""
    if spaces is None:
        return [n_features]
    widths = [check_integer("spaces", width, minimum=1) for width in spaces]
    if sum(widths) != n_features:
        raise ValueError(f"spaces are {widths}, {sum(widths)} features in all, but X has {n_features}.")
    return widths


class LinearSpaces(nn.Module):
    """Linear layers on the columns of each feature space, one for each of several heads.

    Parameters
    ----------
    spaces : sequence of int
        Widths of the spaces, in the order of their columns.
    n_clusters : int
        Outputs of each layer, K.
    n_heads : int
        Layers of a space, H.
    generator : torch.Generator or None
        Draws the weights, uniform in ±1/sqrt(width); None for zeros. Biases start at zero.
    """

    def __init__(
        self, spaces: Sequence[int], n_clusters: int, *, n_heads: int = 1, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.columns = [slice(*ends) for ends in pairwise(accumulate(spaces, initial=0))]
        self.weights = nn.ParameterList(_draw_layer((width, n_heads, n_clusters), generator) for width in spaces)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n_heads, n_clusters)) for _ in spaces)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of every space, (n_spaces, n_heads, n, n_clusters), for rows (n, sum of widths)."""
        logits = []
        for columns, weight, bias in zip(self.columns, self.weights, self.biases, strict=True):
            products = rows[:, columns] @ weight.flatten(1)  # (n, n_heads * n_clusters)
            logits.append((products.unflatten(1, bias.shape) + bias).transpose(0, 1))
        return torch.stack(logits)


class TaskEncoder(LinearSpaces):
    """The labelings: the mean over spaces of the softmax of linear layers."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return log tau(x), the log of the mean of the spaces' probabilities, (n_heads, n, n_clusters)."""
        return mean_labels(super().forward(rows).log_softmax(dim=-1))

    def single(self, head: int) -> "TaskEncoder":
        """Copy one labeling."""
        single = copy.deepcopy(self)
        for weight, bias in zip(single.weights, single.biases, strict=True):
            weight.data, bias.data = weight.data[:, head : head + 1].clone(), bias.data[head : head + 1].clone()
        return single


def _draw_layer(shape: tuple[int, int, int], generator: torch.Generator | None) -> nn.Parameter:
    """Return weights (width, n_heads, n_clusters), drawn head by head; zeros without a generator."""
    if generator is None:
        return nn.Parameter(torch.zeros(shape))
    width, n_heads, n_clusters = shape
    drawn = torch.rand(n_heads, width, n_clusters, generator=generator) * 2 - 1
    return nn.Parameter((drawn / width**0.5).transpose(0, 1).contiguous())


def fit_classifiers(
    classifiers: LinearSpaces, rows: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, *, n_steps: int
) -> None:
    """Train classifiers on soft labels (n_heads, n, K) of rows (n, d) by a few steps: the inner problem."""
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        losses = classifier_loss(classifiers(rows), labels)  # (n_heads,), summed: heads stay independent
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()


def add_task_gradients(
    encoder: TaskEncoder, classifiers: LinearSpaces, rows: Tensor, *, entropy_weight: float
) -> Tensor:
    """Add the gradients of the outer problem to the encoder's, and return its two terms, (2, n_heads), detached."""
    log_labels = encoder(rows)  # (n_heads, batch, n_clusters)
    with torch.no_grad():
        logits = classifiers(rows)  # (n_spaces, n_heads, batch, n_clusters): given, without a gradient
    losses, cross_entropy, balance = turtle_loss(logits, log_labels, entropy_weight=entropy_weight)
    losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return torch.stack([cross_entropy, balance]).detach()


class TurtleSelection(NamedTuple):
    """The result of `select_turtle`.

    Attributes
    ----------
    best : TURTLE
        Fitted, with the settings whose clusters generalize best.
    scores : tuple of float
        `generalization` of each candidate, in their order; NaN where clusters stayed empty.
    """

    best: TURTLE
    scores: tuple[float, ...]


def generalization(
    X: Any, labels: IntArray, *, spaces: Sequence[int] | None = None, n_folds: int = 5, random_state: Any = None
) -> float:
    """Measure how well linear classifiers trained on the clusters of some rows find those of others.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Features; those of several spaces side by side.
    labels : ndarray of shape (n,), dtype int64
        Clusters, at least two; not ground truth.
    spaces : sequence of int or None, default=None
        Widths of the spaces; None for one space.
    n_folds : int, default=5
        Parts of the rows, each of which is predicted by classifiers trained on the others.
    random_state : int, RandomState, Generator or None, default=None
        See the glossary.

    Returns
    -------
    score : float
        Share of rows that get their own cluster, averaged over spaces, in [0, 1]; larger is better.

    Raises
    ------
    ValueError
        If there is only one cluster, or fewer rows than parts.

    Notes
    -----
    Ridge classifiers on z-scored features, with a penalty of a thousandth of the number of rows.
    """
    X = check_features(X)
    if len(np.unique(labels)) < 2:
        raise ValueError("labels have one cluster only, which any classifier finds.")
    if not 2 <= n_folds <= len(X):
        raise ValueError(f"n_folds is {n_folds}; it must lie between 2 and the number of rows, {len(X)}.")
    widths = check_spaces(spaces, X.shape[1])
    order = np.random.default_rng(draw_seed(random_state)).permutation(len(X))
    scale = np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    columns = np.split((X - X.mean(axis=0)) / scale, np.cumsum(widths)[:-1], axis=1)
    n_right = 0
    for held_out in np.array_split(order, n_folds):
        seen = np.setdiff1d(order, held_out)
        for space in columns:
            classifier = RidgeClassifier(alpha=len(seen) / 1000).fit(space[seen], labels[seen])
            n_right += int((classifier.predict(space[held_out]) == labels[held_out]).sum())
    return n_right / (len(X) * len(columns))


def select_turtle(
    X: Any, estimator: TURTLE, candidates: Sequence[Mapping[str, Any]], *, n_folds: int = 5
) -> TurtleSelection:
    """Fit TURTLE with several settings and keep the one whose clusters generalize best, without labels.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Features.
    estimator : TURTLE
        The parameters that the candidates share; it is not changed.
    candidates : sequence of mappings
        Parameters to try, for example ``[{"learning_rate": 1e-2}, {"learning_rate": 1e-3}]``.
    n_folds : int, default=5
        Of `generalization`.

    Returns
    -------
    selection : TurtleSelection
        The best fitted estimator, and the score of every candidate. Of equal scores the first candidate's is kept.

    Raises
    ------
    ValueError
        If there is no candidate, or all left clusters empty.

    Notes
    -----
    The criterion of the paper's section 4: generalization in cross-validation, to labels of its own. Candidates should
    ask for the same number of clusters, since fewer are always easier.
    """
    fitted = [clone(estimator).set_params(**candidate).fit(X) for candidate in candidates]
    scores = tuple(_score(X, model, n_folds) for model in fitted)
    known = [index for index, score in enumerate(scores) if not math.isnan(score)]
    if not known:
        raise ValueError(f"None of {len(fitted)} candidates filled all clusters: raise entropy_weight or n_steps.")
    return TurtleSelection(fitted[max(known, key=lambda index: scores[index])], scores)


def _score(X: Any, model: TURTLE, n_folds: int) -> float:
    """Return the generalization of a fitted model; NaN where clusters stayed empty."""
    if model.diagnostics_["n_empty_clusters"] or model.n_clusters == 1:
        return math.nan
    return generalization(X, model.labels_, spaces=model.spaces, n_folds=n_folds, random_state=0)
