"""Supervised references: how well could features do if labels were known (arrays only).

A probe learns from labelled rows and is scored on others. No clusterer may see labels; these say how much of the
classes the features hold.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn.functional import cross_entropy

from covey._arrays import check_features, draw_seed, iter_chunks, l2_normalize
from covey._torch import resolve_device, to_numpy, to_tensor
from covey.errors import ConvergenceError
from covey.nn import FeatureScaling
from covey.types import FloatArray, IntArray

__all__ = ["ProbeResult", "knn_probe", "linear_probe"]

_BLOCK_ENTRIES = 2**25
_TOLERANCE = 1e-4  # of the gradient's largest entry


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe finds.

    Attributes
    ----------
    accuracy : float
        Share of the test rows with the right class, in [0, 1].
    macro_accuracy : float
        The same within each class of the test rows, averaged over classes.
    predictions : ndarray of shape (n_test,)
        A class of the training rows for each test row.
    settings : mapping of str to float
        What was chosen, without a look at the test rows.
    """

    accuracy: float
    macro_accuracy: float
    predictions: NDArray[Any]
    settings: Mapping[str, float]


def linear_probe(
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    penalties: Sequence[float] = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4),
    held_out: float = 0.2,
    max_iter: int = 300,
    standardize: bool = True,
    device: str = "auto",
    random_state: Any = None,
) -> ProbeResult:
    """Learn a linear classifier of features, and score it on other rows.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features to learn from.
    y : array-like of shape (n,)
        Their classes, numbers or words, at least two.
    X_test : array-like of shape (n_test, d)
        Features to score on.
    y_test : array-like of shape (n_test,)
        Their classes; one that is not in `y` counts as wrong.
    penalties : sequence of float, default=(10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)
        Weights of the squared weights to choose from; 0 is none.
    held_out : float in (0, 1), default=0.2
        Share of the rows of `X` on which the penalty is chosen; then all rows are learned from.
    max_iter : int, default=300
        Most iterations of L-BFGS for each penalty.
    standardize : bool, default=True
        Whether features are z-scored with the statistics of the rows that are learned from.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Decides which rows are held out.

    Returns
    -------
    result : ProbeResult
        Its settings are ``penalty`` and ``held_out_accuracy``.

    Raises
    ------
    ValueError
        If the arrays do not fit one another, there is one class only, or a parameter is out of range.
    ConvergenceError
        If the loss is no number.

    Warns
    -----
    ConvergenceWarning
        If the last fit ended at `max_iter`.

    Notes
    -----
    Multinomial logistic regression: the mean cross-entropy plus penalty / 2 times the squared weights, without the
    biases, by L-BFGS with strong Wolfe line search, from the largest penalty to the smallest, each from the solution
    before it. TEMI's paper and code train by Adam for 100 epochs instead, and their code keeps the epoch that is best
    on the test rows; here nothing is chosen by them.
    """
    rows, classes, targets, test = _check(X, y, X_test, y_test)
    if len(classes) < 2:
        raise ValueError("y has one class only, which any classifier finds.")
    if not penalties or min(penalties) < 0:
        raise ValueError(f"penalties are {list(penalties)}; give one or more numbers of at least 0.")
    n_held_out = round(held_out * len(rows))
    if not 1 <= n_held_out < len(rows):
        raise ValueError(f"held_out is {held_out}: of {len(rows)} rows, one at least must be held out, and one left.")
    place = resolve_device(device)
    order = np.random.default_rng(draw_seed(random_state)).permutation(len(rows))
    seen, unseen = order[n_held_out:], order[:n_held_out]
    fit = partial(_regress, n_classes=len(classes), max_iter=max_iter)
    scale = _Scale.fit(rows[seen], place, standardize=standardize)
    x, target, x_unseen = scale(rows[seen]), to_tensor(targets[seen], place), scale(rows[unseen])
    scores: dict[float, float] = {}
    layer = None
    for penalty in sorted(penalties, reverse=True):
        layer, _ = fit(x, target, start=layer, penalty=penalty)
        scores[penalty] = float((_classify(x_unseen, layer) == targets[unseen]).mean())
    best = max(scores, key=lambda penalty: scores[penalty])  # of equal ones the largest penalty
    scale = _Scale.fit(rows, place, standardize=standardize)
    layer, has_converged = fit(scale(rows), to_tensor(targets, place), start=None, penalty=best)
    found = _classify(scale(test), layer)
    if not has_converged:
        warnings.warn(
            f"The linear probe ended after {max_iter} iterations, short of its optimum: raise max_iter, or leave out "
            "the smallest penalties.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return _score(classes[found], np.asarray(y_test), {"penalty": best, "held_out_accuracy": scores[best]})


def knn_probe(
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    n_neighbors: int = 20,
    weights: Literal["exponential", "uniform"] = "exponential",
    temperature: float = 0.07,
    device: str = "auto",
) -> ProbeResult:
    """Let the nearest labelled rows vote on each test row.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features of the rows that vote.
    y : array-like of shape (n,)
        Their classes, numbers or words.
    X_test : array-like of shape (n_test, d)
        Features to score on.
    y_test : array-like of shape (n_test,)
        Their classes; one that is not in `y` counts as wrong.
    n_neighbors : int, default=20
        How many rows vote, the nearest by cosine; at most n.
    weights : {"exponential", "uniform"}, default="exponential"
        What a vote weighs: exp(cosine / temperature), or 1.
    temperature : float, default=0.07
        Of the exponential weights.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns
    -------
    result : ProbeResult
        Its settings are ``n_neighbors`` and, if there is one, ``temperature``. Of equally many votes, the class that
        is first in order wins.

    Raises
    ------
    ValueError
        If the arrays do not fit one another or a parameter is out of range.

    Notes
    -----
    The weights of [1]_. Nothing is chosen. O(n n_test d) time, memory within a fixed workspace.

    References
    ----------
    .. [1] Z. Wu, Y. Xiong, S. X. Yu and D. Lin, "Unsupervised feature learning via non-parametric instance
       discrimination", CVPR 2018, arXiv:1805.01978.
    """
    rows, classes, targets, test = _check(X, y, X_test, y_test)
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors is {n_neighbors}; it must be at least 1.")
    if weights not in ("exponential", "uniform"):
        raise ValueError(f"weights is {weights!r}; it must be one of exponential, uniform.")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    place, n_votes = resolve_device(device), min(n_neighbors, len(rows))
    known, known_targets = to_tensor(l2_normalize(rows), place), to_tensor(targets, place)
    asked = l2_normalize(test)
    found = []
    for chunk in iter_chunks(len(asked), max(1, _BLOCK_ENTRIES // len(rows))):
        cosine, voters = (to_tensor(asked[chunk], place) @ known.T).topk(n_votes, dim=1)
        # Seen from the nearest row, so that no exponential overflows.
        weight = ((cosine - cosine[:, :1]) / temperature).exp() if weights == "exponential" else torch.ones_like(cosine)
        votes = weight.new_zeros(len(cosine), len(classes)).scatter_add_(1, known_targets[voters], weight)
        found.append(to_numpy(votes.argmax(dim=1)))
    settings = {"n_neighbors": float(n_votes)} | ({"temperature": temperature} if weights == "exponential" else {})
    return _score(classes[np.concatenate(found)], np.asarray(y_test), settings)


class _Scale(NamedTuple):
    """From rows (n, d) on the CPU to scaled ones on a device."""

    scaling: FeatureScaling
    place: torch.device

    @classmethod
    def fit(cls, rows: FloatArray, place: torch.device, *, standardize: bool) -> Self:
        """Learn the statistics of rows (n, d)."""
        return cls(FeatureScaling.fit(to_tensor(rows, place), standardize=standardize), place)

    def __call__(self, rows: FloatArray) -> Tensor:
        """Scale rows (n, d)."""
        return self.scaling(to_tensor(rows, self.place))


def _check(X: Any, y: Any, X_test: Any, y_test: Any) -> tuple[FloatArray, NDArray[Any], IntArray, FloatArray]:
    """Return training rows (n, d), the classes in order, each row's class by number (n,), and test rows (n_test, d)."""
    rows, test = check_features(X), check_features(X_test, name="X_test")
    if rows.shape[1] != test.shape[1]:
        raise ValueError(f"X has {rows.shape[1]} features, X_test has {test.shape[1]}; they must be of one backbone.")
    for name, labels, of in (("y", y, rows), ("y_test", y_test, test)):
        if np.shape(labels) != (len(of),):
            raise ValueError(f"{name} has shape {np.shape(labels)}; it must name a class for each of {len(of)} rows.")
    classes, targets = np.unique(np.asarray(y), return_inverse=True)
    return rows, classes, targets.astype(np.int64), test


def _regress(
    x: Tensor, target: Tensor, *, start: Tensor | None, penalty: float, n_classes: int, max_iter: int
) -> tuple[Tensor, bool]:
    """Fit weights and, in the last row, biases (d + 1, n_classes); also return whether the gradient vanished."""
    layer = x.new_zeros(x.shape[1] + 1, n_classes) if start is None else start.clone()
    layer.requires_grad_()
    optimizer: Any = torch.optim.LBFGS(
        [layer], max_iter=max_iter, tolerance_grad=_TOLERANCE, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss_of() -> Tensor:
        loss = cross_entropy(_logits(x, layer), target) + penalty / 2 * layer[:-1].square().sum()
        (layer.grad,) = torch.autograd.grad(loss, layer)
        return loss.detach()

    optimizer.step(loss_of)
    loss = loss_of()
    if not bool(loss.isfinite()) or layer.grad is None:
        raise ConvergenceError("The loss of the linear probe is no number: standardize the features.")
    return layer.detach(), bool(layer.grad.abs().max() <= 10 * _TOLERANCE)


def _logits(x: Tensor, layer: Tensor) -> Tensor:
    return x @ layer[:-1] + layer[-1]


def _classify(x: Tensor, layer: Tensor) -> IntArray:
    return np.asarray(to_numpy(_logits(x, layer)).argmax(axis=1))


def _score(predictions: NDArray[Any], truth: NDArray[Any], settings: Mapping[str, float]) -> ProbeResult:
    """Score predictions (n_test,) against the truth (n_test,)."""
    is_right = predictions == truth
    classes, of = np.unique(truth, return_inverse=True)
    by_class = np.bincount(of, weights=is_right, minlength=len(classes)) / np.bincount(of)
    return ProbeResult(float(is_right.mean()), float(by_class.mean()), predictions, settings)
