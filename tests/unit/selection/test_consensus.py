"""Votes, their median, and the granularities that peaks suggest."""

from itertools import chain

import numpy as np
import pytest

from covey.selection import CRITERIA, CandidateScore, Sample, _consensus
from covey.selection._consensus import VOTERS, consensus, find_granularities, middle_half, votes

GRID = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30)


def curve_for(ballots: list[int]) -> list[CandidateScore]:
    """A curve in which subsample i likes ballots[i] best."""
    return [CandidateScore(k, 0.0, 0.1, tuple(float(k == ballot) for ballot in ballots)) for k in GRID]


def peaked(*peaks: int, spread: float = 0.1) -> tuple[CandidateScore, ...]:
    return tuple(CandidateScore(k, float(k in peaks), spread, (float(k in peaks),) * 2) for k in GRID)


@pytest.fixture
def ballots(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Return the votes that each criterion will cast, to be filled in."""
    cast: dict[str, list[int]] = {}
    fake = {name: lambda sample, candidates, name=name: curve_for(cast[name]) for name in VOTERS}
    monkeypatch.setattr(_consensus, "CRITERIA", fake)
    return cast


def test_the_median_of_the_votes_is_best(ballots: dict[str, list[int]]) -> None:
    said = ([2, 2, 2], [4, 5, 5], [5, 5, 6], [10, 10, 12], [30, 30, 30])
    ballots.update(zip(VOTERS, said, strict=True))
    curve = consensus(Sample(np.eye(3, dtype=np.float32), None, 0), GRID)
    best = max(curve, key=lambda row: row.score)
    every = sorted(chain(*said))
    assert best.n_clusters == every[7] == 5
    assert sum(row.details["votes"] for row in curve) == pytest.approx(1)
    assert sorted(votes(curve)) == every
    assert middle_half(votes(curve)) == (every[3], every[11]) == (4, 12)


def test_one_criterion_that_is_far_off_moves_neither_choice_nor_interval(ballots: dict[str, list[int]]) -> None:
    ballots.update({name: [6, 6, 8] for name in VOTERS})
    ballots["eigengap"] = [30, 30, 30]
    curve = consensus(Sample(np.eye(3, dtype=np.float32), None, 0), GRID)
    assert max(curve, key=lambda row: row.score).n_clusters == 6
    assert middle_half(votes(curve)) == (6, 8)


def test_equal_scores_vote_for_the_smaller() -> None:
    assert votes([CandidateScore(3, 1.0, 0.0, (1.0, 0.0)), CandidateScore(4, 1.0, 0.0, (1.0, 0.5))]) == [3, 4]


def test_granularities_are_peaks_that_most_criteria_share() -> None:
    flat = tuple(CandidateScore(k, 0.5, 0.1, (0.5, 0.5)) for k in GRID)
    evidence = dict.fromkeys(VOTERS, flat)
    evidence |= {"silhouette": peaked(3, 10, 20), "stability": peaked(3, 10), "eigengap": peaked(5, 16)}
    found = {granularity.name: granularity for granularity in find_granularities(evidence, 10)}
    assert found["coarse"].n_clusters == 3
    assert found["coarse"].supporters == ("silhouette", "stability")
    assert found["fine"].n_clusters in (16, 20)
    assert found["suggested"].n_clusters == 10
    assert [granularity.n_clusters for granularity in find_granularities(evidence, 10)] == sorted(
        granularity.n_clusters for granularity in found.values()
    )


def test_a_bump_within_the_spread_and_an_end_are_no_peaks() -> None:
    evidence = dict.fromkeys(VOTERS, peaked(4, 20, spread=1.5))
    assert [g.name for g in find_granularities(evidence, 10)] == ["suggested"]
    evidence = dict.fromkeys(VOTERS, peaked(2, 30))
    assert [g.name for g in find_granularities(evidence, 10)] == ["suggested"]


def test_all_voters_are_registered_and_none_counts_twice() -> None:
    assert set(VOTERS) <= {*CRITERIA}
    assert "silhouette_stability" not in VOTERS
    assert len(VOTERS) % 2 == 1
