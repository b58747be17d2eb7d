"""How surely each image is in its cluster, on one scale for all methods (arrays only, no labels from people).

Margins and probabilities of different methods do not compare: a margin of 0.06 may be a clear case among features of
1,280 columns. `calibrate_certainty` turns them into one question: would similar images be in the same cluster?
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from covey._arrays import cluster_means, draw_seed, iter_chunks, l2_normalize
from covey.types import NOISE, FloatArray, IntArray

__all__ = ["CLEAR_FROM", "LOOSE_BELOW", "Certainty", "calibrate_certainty", "describe_certainty", "word_for"]

CLEAR_FROM, LOOSE_BELOW = 0.8, 0.5
"""Mean certainty from which a cluster is clear, and below which it is loose; mixed lies between."""
UNSURE_BELOW = 0.5
"""Certainty below which an image is unsure: similar images are in other clusters more often than not."""

_N_NEIGHBORS = 10
_MAX_ASKED = 2000
_MAX_ANSWERS = 20_000
_CHUNK_ROWS = 4096
_LOG_TEMPERATURES = (-12.0, 6.0)


@dataclass(frozen=True, slots=True)
class Certainty:
    """How surely each image is in its cluster.

    Attributes
    ----------
    values : ndarray of shape (n,), dtype float32
        In [0, 1]: the expected share of similar images that are in the same cluster; 0 for noise.
    temperature : float or None
        The scale that fits neighbors best; None with fewer than two clusters.
    n_asked : int
        Images whose neighbors chose it.
    """

    values: FloatArray
    temperature: float | None
    n_asked: int


def calibrate_certainty(
    X: FloatArray, labels: IntArray, probabilities: FloatArray | None = None, *, random_state: Any = 0
) -> Certainty:
    """Turn distances or probabilities into the chance that a similar image is in the same cluster.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Features; compared at unit length.
    labels : ndarray of shape (n,), dtype int64
        Clusters, or `covey.types.NOISE`.
    probabilities : ndarray of shape (n, k), dtype float32, optional
        What the method gives; squared distances to the clusters' means if not given.
    random_state : int, RandomState, Generator or None, default=0
        Draws the images that are asked.

    Returns
    -------
    certainty : Certainty
        One value an image.

    Notes
    -----
    The model is ``p(c | x) = softmax_c(s(x, c) / T)``, where s is the logarithm of the method's probability or else
    ``-|x - mu_c|^2`` of unit rows. The temperature T is the one number that is fitted, as in [1]_, but not to classes:
    it minimizes the cross-entropy ``-log p(c(y) | x)`` of the clusters of the 10 nearest neighbors y of up to 2,000
    images x, searched among up to 20,000. So 0.8 means that of ten images like this one about eight are in its cluster.
    It is a statement about the partition, not about anybody's classes.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    names = np.unique(labels[labels != NOISE])
    if len(names) < 2:
        return Certainty((labels != NOISE).astype(np.float32), None, 0)
    unit = l2_normalize(X)
    place = np.searchsorted(names, labels)  # a cluster's column among those that hold an image
    score = _scores(unit, labels, names, probabilities)
    asked, answers = _ask_neighbors(unit, np.where(labels == NOISE, NOISE, place), random_state)
    temperature = _fit_temperature(score(asked), answers)
    values = np.zeros(len(labels), dtype=np.float32)
    rows = np.flatnonzero(labels != NOISE)
    for chunk in iter_chunks(len(rows), _CHUNK_ROWS):
        some = rows[chunk]
        scaled = score(some) / temperature  # (b, k)
        values[some] = np.exp(scaled[np.arange(len(some)), place[some]] - logsumexp(scaled, axis=1))
    return Certainty(values, temperature, len(asked))


def describe_certainty(certainty: Certainty, labels: IntArray) -> dict[str, Any]:
    """Sum up the certainty of each cluster, JSON-compatible.

    Parameters
    ----------
    certainty : Certainty
        From `calibrate_certainty`.
    labels : ndarray of shape (n,), dtype int64
        The clusters.

    Returns
    -------
    description : dict
        ``temperature``, ``n_asked``, ``clear_from``, ``loose_below``, ``unsure_below``, ``n_unsure``, and
        ``clusters``: for each label, as a string, its ``word``, ``mean`` and ``n_unsure``.
    """
    unsure = (certainty.values < UNSURE_BELOW) & (labels != NOISE)
    clusters = {}
    for label in np.unique(labels[labels != NOISE]).tolist():
        rows = labels == label
        mean = float(certainty.values[rows].mean())
        clusters[str(label)] = {"word": word_for(mean), "mean": round(mean, 4), "n_unsure": int(unsure[rows].sum())}
    return {
        "temperature": certainty.temperature,
        "n_asked": certainty.n_asked,
        "clear_from": CLEAR_FROM,
        "loose_below": LOOSE_BELOW,
        "unsure_below": UNSURE_BELOW,
        "n_unsure": int(unsure.sum()),
        "clusters": clusters,
    }


def word_for(mean: float) -> str:
    """Return the word for how clear a cluster is.

    Parameters
    ----------
    mean : float
        Mean certainty of its images.

    Returns
    -------
    word : {"clear", "mixed", "loose"}
        By `CLEAR_FROM` and `LOOSE_BELOW`.
    """
    return "clear" if mean >= CLEAR_FROM else "loose" if mean < LOOSE_BELOW else "mixed"


def _scores(
    unit: FloatArray, labels: IntArray, names: IntArray, probabilities: FloatArray | None
) -> Callable[[IntArray], FloatArray]:
    """Return a function that gives the scores s(x, c) of some rows, (b, k), float64."""
    if probabilities is not None:
        matrix = probabilities
        return lambda rows: np.log(np.maximum(matrix[rows][:, names].astype(np.float64), np.finfo(np.float32).tiny))
    means = cluster_means(unit, labels, int(names[-1]) + 1)[names]
    norms = (means.astype(np.float64) ** 2).sum(axis=1)
    # The row's own norm is the same for all clusters and drops out of the softmax.
    return lambda rows: (2 * unit[rows] @ means.T).astype(np.float64) - norms


def _ask_neighbors(unit: FloatArray, places: IntArray, random_state: Any) -> tuple[IntArray, IntArray]:
    """Return some rows (m,) and the clusters of their nearest neighbors, (m, 10); noise neither asks nor answers."""
    draw = np.random.default_rng(draw_seed(random_state))
    rows = draw.permutation(np.flatnonzero(places != NOISE))
    asked, among = np.sort(rows[:_MAX_ASKED]), np.sort(rows[:_MAX_ANSWERS])
    n_neighbors = min(_N_NEIGHBORS, len(among) - 1)
    answers = np.empty((len(asked), n_neighbors), dtype=np.int64)
    for chunk in iter_chunks(len(asked), 512):
        some = asked[chunk]
        cosines = unit[some] @ unit[among].T  # (b, m)
        cosines[np.arange(len(some)), np.searchsorted(among, some)] = -np.inf  # a row is no neighbor of itself
        nearest = np.argpartition(-cosines, n_neighbors - 1, axis=1)[:, :n_neighbors]
        answers[chunk] = places[among[nearest]]
    return asked, answers


def _fit_temperature(scores: FloatArray, answers: IntArray) -> float:
    """Return the temperature at which the softmax of the scores (m, k) predicts the answers (m, 10) best."""
    chosen = np.take_along_axis(scores, answers, axis=1)

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float((logsumexp(scores / t, axis=1)[:, None] - chosen / t).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))
