"""Try candidates on a sample, look closer around the best, and say how sure that is."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from covey._arrays import check_features, draw_seed, l2_normalize
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError
from covey.selection import CRITERIA
from covey.selection._criteria import CandidateScore, Sample
from covey.selection._result import NClustersResult
from covey.types import FloatArray, Progress

MAX_ROWS = 5000
"""A larger set is represented by this many rows, so that the time does not grow with it."""
MAX_COMPONENTS = 50
"""Principal axes in which distances are taken: in more, all distances become alike and silhouettes tell little."""
MAX_CANDIDATE = 128
N_CLOSER = 8
_DENSE_UP_TO = 12
_GRID_RATIO = 1.2
_METRICS = ("cosine", "euclidean")

Criterion = Callable[[Sample, int], CandidateScore]


def default_candidates(n_rows: int, k_min: int | None = None, k_max: int | None = None) -> tuple[int, ...]:
    """Return the numbers of clusters that are worth a try.

    Parameters
    ----------
    n_rows : int
        Rows to be clustered, at least 3.
    k_min : int, default=None
        The first number; None is 2.
    k_max : int, default=None
        The last number, at most n - 1; None is the smallest of 2 sqrt(n), n - 1 and 128.

    Returns
    -------
    candidates : tuple of int
        Rising: all up to 12, then in steps of a fifth.

    Raises
    ------
    InvalidValueError
        If there is no number between the two.

    Examples
    --------
    >>> default_candidates(100)
    (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 17, 20)
    """
    first = 2 if k_min is None else max(2, k_min)
    last = max(first, min(isqrt(4 * n_rows), MAX_CANDIDATE)) if k_max is None else k_max
    last = min(last, n_rows - 1)
    if first > last:
        raise InvalidValueError(
            f"There is no number of clusters from {first} to {last} for {n_rows} images; widen --k-min and --k-max."
        )
    candidates = list(range(first, max(first, min(last, _DENSE_UP_TO)) + 1))
    while candidates[-1] < last:
        candidates.append(min(last, round(candidates[-1] * _GRID_RATIO)))
    return tuple(candidates)


def select_n_clusters(
    X: Any,
    candidates: Sequence[int] | None = None,
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    clusterer: Any = None,
    criterion: str = "silhouette_stability",
    metric: str = "cosine",
    random_state: Any = None,
    progress: Progress | None = None,
) -> NClustersResult:
    """Choose a number of clusters without labels.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features, at least 3 rows.
    candidates : sequence of int, default=None
        The numbers to choose from, each from 2 to n - 1. None takes `default_candidates` and looks closer around the
        best of them.
    k_min, k_max : int, default=None
        Ends of the default candidates.
    clusterer : ClusterMixin, default=None
        Makes the partitions, of reduced rows; None takes k-means with 3 restarts.
    criterion : str, default="silhouette_stability"
        A name in `CRITERIA`.
    metric : {"cosine", "euclidean"}, default="cosine"
        Whether rows are scaled to unit length before anything else, as suits features of a backbone.
    random_state : int, RandomState, Generator or None, default=None
        Decides the sample, the subsamples and the fits.
    progress : Progress, default=None
        Told after each candidate.

    Returns
    -------
    result : NClustersResult
        The number, every score, and which other candidates are as plausible.

    Raises
    ------
    InvalidValueError
        If there are fewer than 3 rows, or a candidate or a word is not possible.
    ValueError
        If `X` is not a finite matrix.
    UnknownNameError
        If the criterion is not registered.

    Notes
    -----
    At most 5,000 rows, drawn without replacement, in at most 50 principal axes; each candidate is fitted to five
    subsamples of 80 %. So the time is bounded whatever n is, and groups that make up less than about a thousandth of
    the set, or more than 128 groups, are beyond it. The best candidate is the one of the largest mean score; all whose
    score lies within one standard deviation of it, over the subsamples, are reported as plausible. The deviation says
    how repeatable a score is, not whether people would divide the images so: on sets of 10 classes the default found 8
    or 9, and called that sure.
    """
    X = check_features(X)
    if len(X) < 3:
        raise InvalidValueError(f"X has {len(X)} rows; a number of clusters can be chosen from 3 rows on.")
    if metric not in _METRICS:
        raise InvalidValueError(f"Unknown metric {metric!r}; use one of {', '.join(_METRICS)}.")
    score: Criterion = CRITERIA[criterion]
    grid = default_candidates(len(X), k_min, k_max) if candidates is None else _check_candidates(candidates, len(X))
    seed = draw_seed(random_state)
    reduced = _reduce(_draw_rows(X, max(grid), seed), metric, seed)
    sample = Sample(reduced, CLUSTERERS["kmeans"](n_init=3) if clusterer is None else clusterer, seed)
    curve = _evaluate(score, sample, grid, progress, 0)
    if candidates is None:
        curve += _evaluate(score, sample, _closer(curve), progress, len(curve))
    curve.sort(key=lambda row: row.n_clusters)
    best = max(curve, key=lambda row: row.score)  # of equal ones the smallest
    plausible = tuple(row.n_clusters for row in curve if row.score >= best.score - best.spread)
    return NClustersResult(
        best.n_clusters, criterion, tuple(curve), plausible, len(reduced), _explain(best, curve, plausible, criterion)
    )


def _check_candidates(candidates: Sequence[int], n_rows: int) -> tuple[int, ...]:
    """Return the distinct candidates, rising."""
    allowed = f"candidates must be whole numbers from 2 to {n_rows - 1}, one less than the rows of X"
    if len(candidates) == 0:
        raise InvalidValueError(f"There are no candidates; {allowed}.")
    for candidate in candidates:
        if isinstance(candidate, bool) or not isinstance(candidate, (int, np.integer)):
            raise InvalidValueError(f"A candidate is {candidate!r}; {allowed}.")
        if not 2 <= candidate < n_rows:
            raise InvalidValueError(f"A candidate is {candidate}; {allowed}.")
    return tuple(sorted({int(candidate) for candidate in candidates}))


def _draw_rows(X: FloatArray, largest: int, seed: int) -> FloatArray:
    """Return all rows, or a sample in which even the largest candidate finds rows for its clusters."""
    n_rows = max(MAX_ROWS, 2 * largest)
    if len(X) <= n_rows:
        return X
    rows = np.random.default_rng(seed).choice(len(X), n_rows, replace=False)
    return X[np.sort(rows)]


def _reduce(X: FloatArray, metric: str, seed: int) -> FloatArray:
    """Return rows in their first principal axes, of unit length before that if the metric is cosine."""
    X = l2_normalize(X) if metric == "cosine" else X
    n_components = min(MAX_COMPONENTS, len(X) - 1)
    if X.shape[1] <= n_components:
        return X
    return np.ascontiguousarray(PCA(n_components, random_state=seed).fit_transform(X), dtype=np.float32)


def _evaluate(
    score: Criterion, sample: Sample, candidates: Sequence[int], progress: Progress | None, n_before: int
) -> list[CandidateScore]:
    rows = []
    for n_clusters in candidates:
        rows.append(score(sample, n_clusters))
        if progress is not None:
            progress("choose", n_before + len(rows), n_before + len(candidates))
    return rows


def _closer(curve: Sequence[CandidateScore]) -> list[int]:
    """Return numbers between the best candidate's neighbours on the grid that were not tried yet."""
    tried = [row.n_clusters for row in curve]
    best = max(range(len(curve)), key=lambda i: curve[i].score)
    around = tried[max(best - 1, 0) : best + 2]
    between = [number for low, high in pairwise(around) for number in range(low + 1, high)]
    if len(between) > N_CLOSER:
        between = [between[i] for i in np.linspace(0, len(between) - 1, N_CLOSER).astype(int)]
    return between


def _explain(best: CandidateScore, curve: Sequence[CandidateScore], plausible: tuple[int, ...], criterion: str) -> str:
    """Say what was chosen, from what, and how sure that is."""
    parts = ", ".join(
        f"{name} {value:.2f} ± {best.details[f'{name}_spread']:.2f}"
        for name, value in best.details.items()
        if not name.endswith("_spread")
    )
    chosen = (
        f"{best.n_clusters} clusters have the best {criterion.replace('_', ' x ')} ({parts}) "
        f"of {len(curve)} numbers tried from {curve[0].n_clusters} to {curve[-1].n_clusters}."
    )
    if best.score <= 0:
        return f"{chosen} No number separates the images: take it as a granularity, not as a finding."
    if len(plausible) == 1:
        return f"{chosen} No other number comes within one standard deviation."
    if 2 * len(plausible) > len(curve):
        return (
            f"{chosen} The curve is flat: {len(plausible)} of them from {plausible[0]} to {plausible[-1]} do as well."
        )
    return f"{chosen} Within one standard deviation: {', '.join(map(str, plausible))}."
