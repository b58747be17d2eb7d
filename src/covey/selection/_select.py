"""Choosing the number of clusters: reduce, try each candidate, measure, decide."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.base import clone

from covey._arrays import check_features, draw_seed, l2_normalize
from covey.cluster import KMeans
from covey.errors import InvalidValueError
from covey.metrics import adjusted_rand_score, silhouette_score
from covey.selection._criteria import Evidence, Scores
from covey.types import FloatArray, IntArray, Progress

N_COMPONENTS = 50
N_SUBSAMPLES = 5
SUBSAMPLE_SHARE = 0.8
MAX_ROWS = 5_000
ROWS_PER_CLUSTER = 50
MAX_CANDIDATE = 100
GRID_STEP = 1.15


@dataclass(frozen=True, slots=True)
class NClustersResult:
    """A number of clusters and all that speaks for it.

    Attributes
    ----------
    n_clusters : int
        The suggestion.
    interval : tuple of int
        The smallest and the largest candidate whose score lies within one standard deviation of the best.
    criterion : str
        What decided.
    candidates : tuple of int
        Every number that was tried, rising.
    scores : dict of str to tuple of float
        For each candidate: the criterion's score first, then ``silhouette``, ``stability`` and ``stability_std``.
    n_rows : int
        Rows that were looked at; a large set is represented by a sample.
    n_components : int
        Dimensions of the reduced space.
    reason : str
        Why, in words.
    """

    n_clusters: int
    interval: tuple[int, int]
    criterion: str
    candidates: tuple[int, ...]
    scores: dict[str, tuple[float, ...]]
    n_rows: int
    n_components: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-compatible data."""
        return asdict(self)


def select_n_clusters(
    X: Any,
    candidates: Sequence[int] | None = None,
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    criterion: str = "silhouette_stability",
    clusterer: Any = None,
    random_state: Any = None,
    progress: Progress | None = None,
) -> NClustersResult:
    """Choose the number of clusters without labels.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features. Rows are scaled to unit length.
    candidates : sequence of int, optional
        Numbers to try. By default a grid, each number up to 12 and then steps of 15 percent, made finer around the
        best.
    k_min, k_max : int, optional
        Ends of that grid; 2 and the smaller of 100 and a tenth of the rows (at least 10).
    criterion : str, default="silhouette_stability"
        A registered criterion.
    clusterer : ClusterMixin, optional
        With the parameters `n_clusters` and `random_state` and a `predict`; k-means with three restarts by default.
    random_state : int, RandomState, Generator or None, default=None
        Decides samples and starts.
    progress : Progress, optional
        Told after each candidate, as stage ``"choose"``.

    Returns
    -------
    result : NClustersResult
        The choice and the whole curve.

    Raises
    ------
    InvalidValueError
        If a candidate is not between 2 and n - 1, or the range is empty.
    UnknownNameError
        If there is no such criterion.

    Notes
    -----
    The features are centred and reduced to 50 principal axes, since distances in a thousand dimensions hardly
    differ. For each candidate, k-means on all rows gives the silhouette; five fits on random 80 percent of the rows,
    each extended to all rows by `predict`, give the stability: the mean adjusted Rand index over their ten pairs.
    At most 5,000 rows (50 a cluster, if more clusters are asked for) are looked at. There is no truth to find here: a
    collection has groups within groups, and the curve says more than its maximum.

    Fewer than four rows, or fewer than three distinct ones, are one cluster by definition.
    """
    from covey.selection import CRITERIA  # noqa: PLC0415  the registry is defined in the module that imports this one

    decide = CRITERIA[criterion]
    features = check_features(X)
    generator = np.random.default_rng(draw_seed(random_state))
    tried = _check_candidates(candidates, len(features), k_min, k_max) if len(features) > 3 else [1]
    n_rows = min(len(features), max(MAX_ROWS, ROWS_PER_CLUSTER * max(tried)))
    rows = np.sort(generator.choice(len(features), n_rows, replace=False))
    reduced = reduce_features(features[rows], N_COMPONENTS)
    n_distinct = len(np.unique(reduced, axis=0))
    if n_rows < 4 or n_distinct < 3:
        return _one_cluster(criterion, reduced.shape, n_distinct)
    trial = _Trial(reduced, clusterer or KMeans(n_init=3, max_iter=100), generator, progress)
    trial.run(tried)
    if candidates is None:
        best = tried[int(np.argmax(decide(trial.evidence())[0]))]
        trial.run(_between(best, tried))
    evidence = trial.evidence()
    scores, deviations = decide(evidence)
    return _conclude(criterion, evidence, (scores, deviations), reduced.shape)


def default_candidates(n_rows: int, k_min: int | None = None, k_max: int | None = None) -> list[int]:
    """Return the grid of numbers that are tried first.

    Parameters
    ----------
    n_rows : int
        Number of images.
    k_min, k_max : int, optional
        Ends of the grid.

    Returns
    -------
    candidates : list of int
        Rising.

    Raises
    ------
    InvalidValueError
        If the range is empty.
    """
    low = 2 if k_min is None else max(2, k_min)
    high = min(MAX_CANDIDATE, max(10, n_rows // 10)) if k_max is None else k_max
    high = min(max(high, low) if k_max is None else high, n_rows - 1)
    if low > high:
        raise InvalidValueError(
            f"There is no number of clusters between {low} and {high} for {n_rows} images; widen --k-min and --k-max."
        )
    grid, k = [], float(low)
    while k <= high:
        grid.append(round(k))
        k = k + 1 if k < 12 else k * GRID_STEP
    return sorted({*grid, high})


def reduce_features(X: FloatArray, n_components: int) -> FloatArray:
    """Project unit rows on their principal axes.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows of any length.
    n_components : int
        Number of axes; at most d are kept.

    Returns
    -------
    Z : ndarray of shape (n, min(n_components, d)), dtype float32
        Centred coordinates, the largest variance first.
    """
    unit = l2_normalize(X)
    centered = unit - unit.mean(axis=0, dtype=np.float64).astype(np.float32)
    d = X.shape[1]
    wanted = (max(d - n_components, 0), d - 1)
    _, axes = eigh((centered.T @ centered).astype(np.float64), subset_by_index=wanted)  # ascending eigenvalues
    return np.ascontiguousarray(centered @ axes[:, ::-1].astype(np.float32))


class _Trial:
    """Fits candidates one by one and keeps what was measured."""

    def __init__(self, X: FloatArray, clusterer: Any, generator: np.random.Generator, progress: Progress | None):
        self.X = X
        self.clusterer = clusterer
        self.generator = generator
        self.progress = progress
        self.measured: dict[int, tuple[float, float, float]] = {}
        n_kept = max(2, round(SUBSAMPLE_SHARE * len(X)))
        # The same subsamples for every candidate: what they differ by is then the number of clusters alone.
        self.subsamples = [np.sort(generator.choice(len(X), n_kept, replace=False)) for _ in range(N_SUBSAMPLES)]

    def run(self, candidates: Sequence[int]) -> None:
        """Measure each candidate."""
        n_total = len(self.measured) + len(candidates)
        for k in candidates:
            self.measured[k] = self._measure(k)
            if self.progress is not None:
                self.progress("choose", len(self.measured), n_total)

    def evidence(self) -> Evidence:
        """Return what was measured so far, by rising candidate."""
        ordered = sorted(self.measured)
        separation, agreement, deviation = np.array([self.measured[k] for k in ordered]).T
        return Evidence(np.array(ordered), separation, agreement, deviation)

    def _measure(self, k: int) -> tuple[float, float, float]:
        """Return silhouette, mean stability and its deviation."""
        labels = self._fit(k, self.X).labels_
        is_split = len(np.unique(labels)) > 1
        separation = silhouette_score(self.X, labels, max_rows=MAX_ROWS) if is_split else -1.0
        views = list(self._views(k))
        agreement = [adjusted_rand_score(one, other) for one, other in combinations(views, 2)]
        return separation, float(np.mean(agreement)), float(np.std(agreement))

    def _views(self, k: int) -> Iterator[IntArray]:
        """Yield the labels of all rows by fits on each subsample."""
        for rows in self.subsamples:
            yield self._fit(min(k, len(rows)), self.X[rows]).predict(self.X)

    def _fit(self, k: int, X: FloatArray) -> Any:
        seed = int(self.generator.integers(2**31))
        return clone(self.clusterer).set_params(n_clusters=k, random_state=seed).fit(X)


def _check_candidates(candidates: Sequence[int] | None, n_rows: int, k_min: int | None, k_max: int | None) -> list[int]:
    if candidates is None:
        return default_candidates(n_rows, k_min, k_max)
    chosen = sorted({int(k) for k in candidates})
    if not chosen or chosen[0] < 2 or chosen[-1] >= n_rows:
        raise InvalidValueError(
            f"candidates are {chosen}; they must be numbers from 2 to {n_rows - 1} (one less than the images)."
        )
    return chosen


def _between(best: int, tried: Sequence[int], n_most: int = 6) -> list[int]:
    """Return up to `n_most` numbers on each side between the best candidate and its neighbours on the grid."""
    place = tried.index(best)
    below = range(tried[max(place - 1, 0)] + 1, best)
    above = range(best + 1, tried[min(place + 1, len(tried) - 1)])
    return [k for gap in (below, above) for k in list(gap)[:: max(1, -(-len(gap) // n_most))]]


def _conclude(
    criterion: str, evidence: Evidence, decision: tuple[Scores, Scores], shape: tuple[int, ...]
) -> NClustersResult:
    scores, deviations = decision
    candidates = [int(k) for k in evidence.candidates]
    best = int(np.argmax(scores))
    close = [k for k, score in zip(candidates, scores, strict=True) if score >= scores[best] - deviations[best]]
    span = (
        f"{close[0]} to {close[-1]} clusters do as well within one standard deviation"
        if len(close) > 1
        else "no other number tried comes within one standard deviation"
    )
    reason = (
        f"{candidates[best]} clusters: silhouette {evidence.silhouette[best]:.3f}, stability "
        f"{evidence.stability[best]:.2f} on {shape[0]} images; {span}."
    )
    if scores[best] <= 0 or evidence.stability[best] < 0.3:
        reason += " The evidence is weak: the groups hardly differ from chance. Look at several numbers."
    columns = {
        criterion: scores,
        "silhouette": evidence.silhouette,
        "stability": evidence.stability,
        "stability_std": evidence.stability_std,
    }
    return NClustersResult(
        n_clusters=candidates[best],
        interval=(close[0], close[-1]),
        criterion=criterion,
        candidates=tuple(candidates),
        scores={name: tuple(round(float(value), 6) for value in values) for name, values in columns.items()},
        n_rows=shape[0],
        n_components=shape[1],
        reason=reason,
    )


def _one_cluster(criterion: str, shape: tuple[int, ...], n_distinct: int) -> NClustersResult:
    """Answer for so few or so uniform rows that there is nothing to choose between."""
    reason = f"1 cluster: {shape[0]} images, {n_distinct} of them distinct, are too few to look for groups."
    return NClustersResult(1, (1, 1), criterion, (1,), {criterion: (0.0,)}, shape[0], shape[1], reason)
