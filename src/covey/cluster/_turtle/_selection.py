"""Settings of TURTLE without labels: whose clusters can classifiers carry over to rows that they have not seen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier

from covey._arrays import check_features, draw_seed
from covey.cluster._turtle._estimator import TURTLE, check_spaces
from covey.types import IntArray


class TurtleSelection(NamedTuple):
    """What `select_turtle` finds.

    Attributes
    ----------
    best : TURTLE
        Fitted, with the settings whose clusters generalise best.
    scores : tuple of float
        `generalization` of each candidate, in their order; NaN where clusters stayed empty.
    """

    best: TURTLE
    scores: tuple[float, ...]


def generalization(
    X: Any, labels: IntArray, *, spaces: Sequence[int] | None = None, n_folds: int = 5, random_state: Any = None
) -> float:
    """Measure how well linear classifiers that learn clusters on some rows find them on others.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Features, those of several spaces side by side.
    labels : ndarray of shape (n,), dtype int64
        Clusters, at least two; not ground truth.
    spaces : sequence of int or None, default=None
        Widths of the spaces; None: one.
    n_folds : int, default=5
        Parts of the rows, each of which is predicted by classifiers trained on the others.
    random_state : int, RandomState, Generator or None, default=None
        Decides the parts.

    Returns
    -------
    score : float
        Share of rows that get their own cluster, averaged over spaces, in [0, 1]; larger is better.

    Raises
    ------
    ValueError
        If there is one cluster only, or fewer rows than parts.

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
    """Fit TURTLE with several settings and keep the one whose clusters generalise best; no labels are looked at.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Features.
    estimator : TURTLE
        What the candidates have in common; it is not changed.
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
    The criterion of section 4 of [1]_: generalisation in cross-validation, to labels of its own. Candidates should ask
    for the same number of clusters, since fewer are always easier.

    References
    ----------
    .. [1] A. Gadetsky, Y. Jiang and M. Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024,
       arXiv:2406.07236.
    """
    fitted = [clone(estimator).set_params(**candidate).fit(X) for candidate in candidates]
    scores = tuple(_score(X, model, n_folds) for model in fitted)
    known = [index for index, score in enumerate(scores) if not math.isnan(score)]
    if not known:
        raise ValueError(f"None of {len(fitted)} candidates filled all clusters: raise entropy_weight or n_steps.")
    return TurtleSelection(fitted[max(known, key=lambda index: scores[index])], scores)


def _score(X: Any, model: TURTLE, n_folds: int) -> float:
    if model.diagnostics_["n_empty_clusters"] or model.n_clusters == 1:
        return math.nan
    return generalization(X, model.labels_, spaces=model.spaces, n_folds=n_folds, random_state=0)
