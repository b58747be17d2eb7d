"""Try candidates on a sample, look closer around the best, and say how sure that is."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np

from covey._arrays import check_features, draw_seed
from covey.errors import InvalidValueError
from covey.selection._consensus import find_granularities, middle_half, votes
from covey.selection._criteria import CandidateScore
from covey.selection._explanation import explain
from covey.selection._registry import CRITERIA, VOTERS
from covey.selection._result import NClustersResult, best_of
from covey.selection._row_sample import Sample, count_distinct, draw_rows, is_constant, reduce_rows
from covey.types import FloatArray, Progress

MAX_CANDIDATE = 128
MAX_EXTENDED = 256
"""Numbers up to which the default candidates are extended while a criterion's best is at their end."""
N_CLOSER = 4
_DENSE_UP_TO = 12
_GRID_RATIO = 1.2
_EXTENSION = 1.5
_FEWEST_ROWS = 5  # a cluster, on average, at the end of an extended grid
_METRICS = ("cosine", "euclidean")

Criterion = Callable[[Sample, Sequence[int]], list[CandidateScore]]


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
    criterion: str = "consensus",
    metric: str = "cosine",
    random_state: Any = None,
    progress: Progress | None = None,
) -> NClustersResult:
    """Choose a number of clusters without labels.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features, at least 3 rows, not all equal.
    candidates : sequence of int, default=None
        The numbers to choose from, each from 2 to n - 1. None takes `default_candidates`, at most as many as there are
        distinct rows, and looks closer around the best of each criterion.
    k_min, k_max : int, default=None
        Ends of the default candidates. Without `k_max` these go on, up to a fifth of the rows and 256, while one of the
        criteria that vote finds the largest number to be its best.
    clusterer : ClusterMixin, default=None
        Makes the partitions, of reduced rows; None takes k-means with 3 restarts, of all subsamples at once.
    criterion : str, default="consensus"
        A name in `CRITERIA`; it decides. All others are computed beside it.
    metric : {"cosine", "euclidean"}, default="cosine"
        Whether rows are scaled to unit length before anything else, as suits features of a backbone.
    random_state : int, RandomState, Generator or None, default=None
        Decides the sample, the subsamples and the fits.
    progress : Progress, default=None
        Told after each candidate.

    Returns
    -------
    result : NClustersResult
        The number, every score of every criterion, and which other candidates are as plausible.

    Raises
    ------
    InvalidValueError
        If there are fewer than 3 rows, all are equal, or a candidate or a word is not possible.
    ValueError
        If `X` is not a finite matrix.
    UnknownNameError
        If the criterion is not registered.

    Notes
    -----
    At most 5,000 rows, drawn without replacement, in at most 50 principal axes; each candidate is fitted to seven
    subsamples of 80 %, and all criteria judge the same partitions. So the time is bounded whatever n is, and groups
    that make up less than about a thousandth of the set, or more than 256 groups, are beyond it. The answer depends on
    n and d, which are part of it. Votes and deviations say how repeatable a choice is, not whether people would divide
    the images so: docs/guide/how-many.md shows what the criteria gave on sets with known classes.
    """
    X = check_features(X)
    if len(X) < 3:
        raise InvalidValueError(f"X has {len(X)} rows; a number of clusters can be chosen from 3 rows on.")
    if metric not in _METRICS:
        raise InvalidValueError(f"Unknown metric {metric!r}; use one of {', '.join(_METRICS)}.")
    if is_constant(X, metric):
        raise InvalidValueError(
            f"All {len(X)} rows of X are equal or differ by rounding alone: they are one cluster, and there is no "
            "number to choose."
        )
    CRITERIA[criterion]  # an unknown one is said before anything is computed
    grid = _grid(X, k_min, k_max) if candidates is None else _check_candidates(candidates, len(X))
    seed = draw_seed(random_state)
    reduced = reduce_rows(draw_rows(X, max(grid), seed), metric, seed)
    sample = Sample(reduced, clusterer, seed)
    _try(sample, grid, progress, 0)
    if candidates is None:
        if k_max is None:
            grid = _extend(sample, grid, _most_clusters(X, grid), progress)
        closer = _closer_of_each(sample, grid)
        _try(sample, closer, progress, len(grid))
        grid = tuple(sorted({*grid, *closer}))
    order = [criterion, *(name for name in CRITERIA if name != criterion)]
    evidence = {name: tuple(CRITERIA[name](sample, grid)) for name in order}
    best = best_of(evidence[criterion])
    plausible = tuple(row.n_clusters for row in evidence[criterion] if row.score >= best.score - best.spread)
    interval = middle_half(votes(evidence[criterion]))
    return NClustersResult(
        n_clusters=best.n_clusters,
        criterion=criterion,
        evidence=evidence,
        plausible=plausible,
        interval=interval,
        granularities=find_granularities(evidence, best.n_clusters),
        n_images=X.shape[0],
        n_features=X.shape[1],
        n_rows=len(reduced),
        n_components=reduced.shape[1],
        why=explain(criterion, evidence, plausible, interval),
    )


def _grid(X: FloatArray, k_min: int | None, k_max: int | None) -> tuple[int, ...]:
    """Return the default candidates, no more clusters than there are distinct rows."""
    grid = default_candidates(len(X), k_min, k_max)
    n_distinct = max(count_distinct(X, grid[-1]), 2)
    if n_distinct >= grid[-1]:
        return grid
    if k_min is not None and k_min > n_distinct:
        raise InvalidValueError(f"X has {n_distinct} distinct rows, fewer than k_min={k_min} clusters; lower k_min.")
    return default_candidates(len(X), k_min, n_distinct)


def _most_clusters(X: FloatArray, grid: Sequence[int]) -> int:
    """Return the largest number of clusters that an extended grid may reach."""
    most = min(MAX_EXTENDED, len(X) // _FEWEST_ROWS)
    if most <= grid[-1]:
        return grid[-1]
    return min(most, max(count_distinct(X, most), 2))


def _extend(sample: Sample, grid: tuple[int, ...], most: int, progress: Progress | None) -> tuple[int, ...]:
    """Add larger numbers while one of the criteria that vote finds the largest number tried to be its best."""
    while grid[-1] < most and any(best_of(CRITERIA[name](sample, grid)).n_clusters == grid[-1] for name in VOTERS):
        last = min(most, round(grid[-1] * _EXTENSION))
        more = [grid[-1]]
        while more[-1] < last:
            more.append(min(last, round(more[-1] * _GRID_RATIO)))
        _try(sample, more[1:], progress, len(grid))
        grid = (*grid, *more[1:])
    return grid


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


def _try(sample: Sample, candidates: Sequence[int], progress: Progress | None, n_before: int) -> None:
    """Compute what every criterion says of candidates, and tell how far that is; the sample keeps the scores."""
    for n_done, n_clusters in enumerate(candidates, start=n_before + 1):
        for name in VOTERS:
            CRITERIA[name](sample, [n_clusters])
        if progress is not None:
            progress("choose", n_done, n_before + len(candidates))


def _closer_of_each(sample: Sample, grid: Sequence[int]) -> list[int]:
    """Return untried numbers beside the best candidate of each criterion."""
    return sorted({number for name in VOTERS for number in _closer(CRITERIA[name](sample, grid))})


def _closer(curve: Sequence[CandidateScore]) -> list[int]:
    """Return numbers between the best candidate's neighbors on the grid that were not tried yet."""
    tried = [row.n_clusters for row in curve]
    best = max(range(len(curve)), key=lambda i: curve[i].score)
    around = tried[max(best - 1, 0) : best + 2]
    between = [number for low, high in pairwise(around) for number in range(low + 1, high)]
    if len(between) > N_CLOSER:
        between = [between[i] for i in np.linspace(0, len(between) - 1, N_CLOSER).astype(int)]
    return between
