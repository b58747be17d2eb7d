"""One number from criteria that disagree: each votes in each subsample, and the median of the votes is taken."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks, peak_prominences

from covey.selection._criteria import CandidateScore
from covey.selection._registry import CRITERIA, VOTERS
from covey.selection._row_sample import Sample
from covey.types import IntArray

APART = 1.5
"""A coarser or finer granularity differs from the suggestion by this factor at least."""
_SAME = 1.2  # numbers within this factor are one peak: the step of the default candidates


class Granularity(NamedTuple):
    """A number of clusters at which the evidence has a peak.

    Attributes
    ----------
    name : {"coarse", "suggested", "fine"}
        How it lies to the suggestion.
    n_clusters : int
        The number.
    supporters : tuple of str
        The criteria that have a peak there; for the suggestion those that vote for it at least once.
    """

    name: str
    n_clusters: int
    supporters: tuple[str, ...]


def consensus(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score how central a number lies among the votes of five criteria, so that the best is their median.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        Depth, in [0, 1]: the share of the votes that are not larger than the number or the share that are not smaller,
        whichever is less. The detail ``votes`` is the share of the votes for just this number.

    Notes
    -----
    In each subsample each of `VOTERS` votes for the candidate that it scores best. The depth [1]_ is largest at the
    median. A median was chosen beforehand, and not by how often it is right on sets with known classes: the criteria
    have no common unit, so scores cannot be added; they are known to err to different sides (stability and silhouette
    towards few large groups, what codes by Gaussians towards many small ones); and a median stays within what most of
    them say however far off the others are. It says nothing where they are all off to one side.

    References
    ----------
    .. [1] J. W. Tukey, "Mathematics and the picturing of data", Proceedings of the International Congress of
       Mathematicians, 1975.
    """
    ballots = np.array([votes(CRITERIA[name](sample, candidates)) for name in VOTERS])  # (voters, repeats)
    found = []
    for k in candidates:
        depths = [_depth(ballots[:, repeat], k) for repeat in range(ballots.shape[1])]
        share = float((ballots == k).mean())
        is_voted = tuple(map(float, (ballots == k).flatten()))
        found.append(CandidateScore(k, _depth(ballots, k), float(np.std(depths, ddof=1)), is_voted, {"votes": share}))
    return found


def votes(curve: Sequence[CandidateScore]) -> list[int]:
    """Return the candidate of the best score in each subsample; of equal ones the smallest."""
    scores = np.array([row.repeats for row in curve])  # (candidates, repeats)
    return [curve[row].n_clusters for row in scores.argmax(axis=0)]


def middle_half(ballots: Sequence[int]) -> tuple[int, int]:
    """Return the quartiles of votes, rounded outwards to votes: half of them at least lie between."""
    low, high = np.quantile(ballots, 0.25, method="lower"), np.quantile(ballots, 0.75, method="higher")
    return int(low), int(high)


def find_granularities(evidence: Mapping[str, Sequence[CandidateScore]], suggested: int) -> tuple[Granularity, ...]:
    """Pick up to three numbers of clusters: the suggestion, and a coarser and a finer one where curves have peaks.

    Parameters
    ----------
    evidence : mapping of str to sequence of CandidateScore
        The curves of the criteria, candidates rising.
    suggested : int
        The number that was chosen.

    Returns
    -------
    granularities : tuple of Granularity
        Rising. A side on which no voter has a peak gives none.

    Notes
    -----
    A peak is a candidate better than its neighbors, and by at least its spread over the subsamples better than the
    lowest point on the way to anything higher; an end of the curve is none. Of the numbers that differ from the
    suggestion by the factor 1.5 or more, the one is taken at which most voters have a peak within the factor 1.2, and
    of equally many the highest peak in units of its spread.
    """
    peaks = {name: _peaks(evidence[name]) for name in VOTERS}
    backers = tuple(name for name in VOTERS if suggested in votes(evidence[name]))
    found = [Granularity("suggested", suggested, backers)]
    beyond: dict[str, Callable[[int], bool]] = {
        "coarse": lambda k: k * APART <= suggested,
        "fine": lambda k: k >= suggested * APART,
    }
    for side, is_beyond in beyond.items():
        heights = _highest(peaks.values(), is_beyond)
        support = {k: tuple(name for name in VOTERS if any(_is_near(k, peak) for peak in peaks[name])) for k in heights}
        if heights:
            best = max(heights, key=lambda k: (len(support[k]), heights[k]))
            found.append(Granularity(side, best, support[best]))
    return tuple(sorted(found, key=lambda granularity: granularity.n_clusters))


def _depth(ballots: IntArray, k: int) -> float:
    return float(min((ballots <= k).mean(), (ballots >= k).mean()))


def _peaks(curve: Sequence[CandidateScore]) -> dict[int, float]:
    """Return the candidates at which a curve has a peak, with their prominence in units of the spread."""
    scores, spreads = np.array([row.score for row in curve]), np.array([row.spread for row in curve])
    places, _ = find_peaks(scores)
    heights = peak_prominences(scores, places)[0] / np.maximum(spreads[places], np.finfo(float).tiny)
    return {
        curve[place].n_clusters: float(height) for place, height in zip(places, heights, strict=True) if height >= 1
    }


def _highest(peaks: Iterable[Mapping[int, float]], is_wanted: Callable[[int], bool]) -> dict[int, float]:
    """Return the wanted numbers at which a curve has a peak, with the height of the highest."""
    heights: dict[int, float] = {}
    for own in peaks:
        for k, height in own.items():
            if is_wanted(k):
                heights[k] = max(height, heights.get(k, 0.0))
    return heights


def _is_near(k: int, other: int) -> bool:
    return max(k, other) <= _SAME * min(k, other)
