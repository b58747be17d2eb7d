"""TURTLE: the labeling that linear classifiers of every feature space learn most easily [1]_.

Its equations are the functions of `covey.objectives.turtle`; here are the estimator, its training, and how settings are
chosen without labels.

.. [1] A. Gadetsky, Y. Jiang and M. Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024,
   arXiv:2406.07236.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from itertools import accumulate, pairwise
from typing import Any, ClassVar, NamedTuple, get_args

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from torch import Tensor, nn

from covey._arrays import check_features, draw_seed
from covey._torch import resolve_device, to_numpy, to_tensor
from covey.cluster._base import check_n_clusters
from covey.cluster._heads import HeadClusterer
from covey.cluster._parameters import check_integer, checked, choice, flag, free, integer, parameters, real
from covey.cluster._training import TrainingLength, iter_batches, make_generators, train
from covey.nn import FeatureScaling, Schedule, learning_rate_schedule
from covey.objectives import classifier_loss, turtle_loss
from covey.types import FloatArray, IntArray, Progress


def _check_widths(name: str, widths: Any) -> None:
    for width in widths or ():
        check_integer(name, width, minimum=1)


@parameters
class TURTLE(HeadClusterer):
    """Cluster features so that linear classifiers learn the clusters easily.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    spaces : sequence of int or None, default=None
        Widths of the feature spaces whose columns are side by side in `X`, as when the features of several backbones
        are joined; they add up to the width of a row. None: one space.
    entropy_weight : float, default=10.0
        Weight γ of the entropy of the mean labels. Larger makes clusters more even.
    n_inner_steps : int, default=10
        Steps M that the classifiers learn between two steps of the labeling.
    keep_classifiers : bool, default=False
        Whether the classifiers go on from where they are (warm start), or start anew for each step of the labeling.
    inner_learning_rate : float, default=0.01
        Learning rate of the classifiers.
    learning_rate : float, default=0.01
        Learning rate of the labeling.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    n_steps : int, default=400
        Steps of the labeling, T.
    batch_size : int, default=2048
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
    loss_history_ : ndarray of shape (n_epochs, 2), dtype float32
        Means of each pass: the classifiers' cross-entropy, summed over spaces, and the entropy of the mean labels, in
        nats.
    diagnostics_ : dict
        See the glossary; with ``classifier_loss``, the cross-entropy of the last pass.

    See Also
    --------
    select_turtle : Choose settings without labels.
    TEMI : Learns from neighbors.

    Notes
    -----
    The labeling tau(x) is the mean over spaces of softmax(theta_k x_k); the classifiers w_k minimize the cross-entropy
    with tau by a few steps of Adam, and tau minimizes what they are left with, summed over spaces, minus γ times the
    entropy of the mean of tau. The classifiers count as given in the outer step, so the gradient passes through the
    labels alone. Departs from the paper: features are z-scored, γ, the step sizes and lengths are ours and the outer
    rate decays. Written from the paper's equations, without looking at the authors' code.
    O(n_steps n_inner_steps batch_size n_features n_clusters) time.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import TURTLE
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = TURTLE(n_clusters=2, n_steps=100, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(10)
    _: KW_ONLY
    spaces: Sequence[int] | None = checked(None, _check_widths, "a sequence of integers of at least 1, or None")
    entropy_weight: float = real(10.0)
    n_inner_steps: int = integer(10)
    keep_classifiers: bool = flag(False)
    inner_learning_rate: float = real(1e-2, above=0.0)
    learning_rate: float = real(1e-2, above=0.0)
    standardize: bool = flag(True)
    n_steps: int = integer(400)
    batch_size: int = integer(2048)
    schedule: Schedule = choice("cosine", of=get_args(Schedule))
    device: str = free("auto")
    random_state: Any = free(None)

    _if_collapsed: ClassVar = "Raise entropy_weight or batch_size, train longer (n_steps), or ask for fewer clusters."

    def _fit(self, X: FloatArray, *, progress: Progress | None) -> None:
        check_n_clusters(self.n_clusters, len(X))
        spaces = check_spaces(self.spaces, X.shape[1])
        # 1. Scale the rows, and train the labeling on them: losses (n_epochs, 2).
        rows = to_tensor(X, resolve_device(self.device))
        scaling = FeatureScaling.fit(rows, standardize=self.standardize)
        encoder, history = self._train(scaling(rows), spaces, progress)
        # 2. Its most probable label is a row's cluster.
        self.loss_history_ = to_numpy(history)
        self._keep_head(X, scaling, encoder, classifier_loss=float(history[-1, 0]))

    def _train(self, X: Tensor, spaces: list[int], progress: Progress | None) -> tuple["TaskEncoder", Tensor]:
        """Train on scaled rows X; return the labeling and its losses (n_epochs, 2)."""
        length = TrainingLength.of(len(X), self.batch_size, self.n_steps, None)
        weight_generator, generator = make_generators(self.random_state, X.device)
        encoder = TaskEncoder(spaces, self.n_clusters, generator=weight_generator).to(X.device)
        learners = self._iter_classifiers(spaces, weight_generator, X.device)

        def backward(rows: Tensor, _: int) -> Tensor:
            # The inner problem for the labels of a batch (batch, n_clusters), then a gradient of the outer one.
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
            rate_at=learning_rate_schedule(self.learning_rate, length.n_steps, decay=self.schedule),
            progress=progress,
        )
        return encoder, history

    def _iter_classifiers(
        self, spaces: list[int], generator: torch.Generator, device: torch.device
    ) -> Iterator[tuple["LinearSpaces", torch.optim.Optimizer]]:
        """Yield the classifiers to train and their optimizer: always the same, or new ones."""
        while True:
            classifiers = LinearSpaces(spaces, self.n_clusters, generator=generator).to(device)
            optimizer = torch.optim.Adam(classifiers.parameters(), lr=self.inner_learning_rate, fused=True)
            yield classifiers, optimizer
            while self.keep_classifiers:
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
    """One linear layer for each feature space, on its own columns.

    Parameters
    ----------
    spaces : sequence of int
        Widths of the spaces, in the order of their columns.
    n_clusters : int
        Outputs of each layer, K.
    generator : torch.Generator
        Draws the weights, uniform in ±1/sqrt(width); biases start at zero.
    """

    def __init__(self, spaces: Sequence[int], n_clusters: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.columns = [slice(*ends) for ends in pairwise(accumulate(spaces, initial=0))]
        self.weights = nn.ParameterList(
            nn.Parameter((torch.rand(width, n_clusters, generator=generator) * 2 - 1) / width**0.5) for width in spaces
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n_clusters)) for _ in spaces)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of every space, (n_spaces, n, n_clusters), for rows (n, sum of widths)."""
        layers = zip(self.columns, self.weights, self.biases, strict=True)
        return torch.stack([rows[:, columns] @ weight + bias for columns, weight, bias in layers])


class TaskEncoder(LinearSpaces):
    """The labeling: the mean over spaces of the softmax of linear layers."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return log tau(x), the log of the mean of the spaces' probabilities, (n, n_clusters)."""
        return super().forward(rows).log_softmax(dim=2).logsumexp(dim=0) - math.log(len(self.columns))


def fit_classifiers(
    classifiers: LinearSpaces, rows: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, *, n_steps: int
) -> None:
    """Train the classifiers on soft labels (n, K) of rows (n, d) by a few steps: the inner problem."""
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        classifier_loss(classifiers(rows), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()


def add_task_gradients(
    encoder: TaskEncoder, classifiers: LinearSpaces, rows: Tensor, *, entropy_weight: float
) -> Tensor:
    """Add the gradients of the outer problem to the encoder's, and return its two terms, (2,), detached."""
    log_labels = encoder(rows)  # (batch, n_clusters)
    with torch.no_grad():
        logits = classifiers(rows)  # (n_spaces, batch, n_clusters), given: the gradient passes through the labels alone
    loss, cross_entropy, balance = turtle_loss(logits, log_labels, entropy_weight=entropy_weight)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
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
