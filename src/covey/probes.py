"""Supervised references: how well could features do if labels were known (arrays only).

A probe learns from labeled rows and is scored on others. No clusterer may see labels; these say how much of the
classes the features hold. The classifiers are scikit-learn's.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from covey._arrays import check_features, draw_seed, l2_normalize
from covey.types import FloatArray, IntArray

__all__ = ["ProbeResult", "knn_probe", "linear_probe"]

_TOLERANCE = 1e-4  # of the gradient's largest entry
_WORKING_MEMORY_MIB = 128  # what scikit-learn may hold of the distances at once


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
        What was chosen, without the test rows.
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
        Factors λ of the squared weights to choose from; 0 is none.
    held_out : float in (0, 1), default=0.2
        Share of the rows of `X` on which the penalty is chosen; then all rows are learned from.
    max_iter : int, default=300
        Most iterations of L-BFGS for each penalty.
    standardize : bool, default=True
        Whether features are z-scored with the statistics of the rows that are learned from.
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

    Warns
    -----
    ConvergenceWarning
        If the last fit ended at `max_iter`.

    Notes
    -----
    Multinomial logistic regression by scikit-learn (L-BFGS; of two classes its binomial one): the mean cross-entropy
    plus λ / 2 times the squared weights, without the biases; scikit-learn's C is 1 / (λ n). The penalties are tried
    from the largest to the smallest, each from the solution before it, and of equally good ones the largest is taken.
    TEMI's paper and code train by Adam for 100 epochs instead, and their code keeps the epoch that is best on the test
    rows; here nothing is chosen by them.
    """
    rows, classes, targets, test = _check(X, y, X_test, y_test)
    if len(classes) < 2:
        raise ValueError("y has one class only, which any classifier finds; give rows of at least two.")
    if not penalties or min(penalties) < 0:
        raise ValueError(f"penalties are {list(penalties)}; give one or more numbers of at least 0.")
    n_held_out = round(held_out * len(rows))
    if not 1 <= n_held_out < len(rows):
        raise ValueError(f"held_out is {held_out}: of {len(rows)} rows, one at least must be held out, and one left.")
    order = np.random.default_rng(draw_seed(random_state)).permutation(len(rows))
    kept, unseen = order[n_held_out:], order[:n_held_out]
    if len(np.unique(targets[kept])) < 2:
        raise ValueError(f"The {len(kept)} rows left of held_out {held_out} are of one class; hold out fewer.")
    # Choose the penalty: learn from the rows that are left, score on those that are held out.
    scale = _fit_scale(rows[kept], standardize=standardize)
    x, x_unseen = scale(rows[kept]), scale(rows[unseen])
    probe = LogisticRegression(tol=_TOLERANCE, max_iter=max_iter, warm_start=True)
    scores: dict[float, float] = {}
    for penalty in sorted(penalties, reverse=True):
        _fit(probe, x, targets[kept], penalty)
        scores[penalty] = float((probe.predict(x_unseen) == targets[unseen]).mean())
    best = max(scores, key=lambda penalty: scores[penalty])  # of equal ones the largest penalty
    # Learn from all rows with that penalty.
    scale, probe = _fit_scale(rows, standardize=standardize), clone(probe)
    if not _fit(probe, scale(rows), targets, best):
        warnings.warn(
            f"The linear probe ended after {max_iter} iterations, short of its optimum: raise max_iter, or leave out "
            "the smallest penalties.",
            ConvergenceWarning,
            stacklevel=2,
        )
    predictions = classes[probe.predict(scale(test))]
    return _score(predictions, np.asarray(y_test), {"penalty": best, "held_out_accuracy": scores[best]})


def knn_probe(
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    n_neighbors: int = 20,
    weights: Literal["exponential", "uniform"] = "exponential",
    temperature: float = 0.07,
) -> ProbeResult:
    """Let the nearest labeled rows vote on each test row.

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
    The weights of [1]_; the search and the vote are scikit-learn's. Nothing is chosen. O(n n_test d) time, at most
    128 MiB of distances at once.

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
    n_votes = min(n_neighbors, len(rows))

    def weigh(distances: FloatArray) -> FloatArray:
        # exp(cosine / temperature), relative to the nearest row, so that no exponential overflows; (n_test, n_votes)
        return np.asarray(np.exp((distances[:, :1] - distances) / temperature))

    voting = weigh if weights == "exponential" else "uniform"
    probe = KNeighborsClassifier(n_votes, weights=voting, metric="cosine", algorithm="brute")
    probe.fit(l2_normalize(rows), targets)
    with sklearn.config_context(working_memory=_WORKING_MEMORY_MIB):
        predictions = classes[probe.predict(l2_normalize(test))]
    settings = {"n_neighbors": float(n_votes)} | ({"temperature": temperature} if weights == "exponential" else {})
    return _score(predictions, np.asarray(y_test), settings)


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


def _fit_scale(rows: FloatArray, *, standardize: bool) -> Callable[[FloatArray], FloatArray]:
    """Learn how rows (n, d) are scaled; return the map."""
    scale: Callable[[FloatArray], FloatArray] = (
        StandardScaler(with_mean=standardize, with_std=standardize).fit(rows).transform
    )
    return scale


def _fit(probe: LogisticRegression, x: FloatArray, targets: IntArray, penalty: float) -> bool:
    """Fit to rows (n, d) and their classes (n,) with penalty λ; return whether L-BFGS converged."""
    probe.set_params(C=1 / (penalty * len(x)) if penalty > 0 else np.inf)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        probe.fit(x, targets)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _score(predictions: NDArray[Any], truth: NDArray[Any], settings: Mapping[str, float]) -> ProbeResult:
    """Score predictions (n_test,) against the truth (n_test,)."""
    is_right = predictions == truth
    classes, of = np.unique(truth, return_inverse=True)
    by_class = np.bincount(of, weights=is_right, minlength=len(classes)) / np.bincount(of)
    return ProbeResult(float(is_right.mean()), float(by_class.mean()), predictions, settings)
