import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import make_blobs

from covey.errors import CoveyError, InvalidValueError, UnknownNameError
from covey.selection import (
    CRITERIA,
    CandidateScore,
    NClustersResult,
    _row_sample,
    _select,
    default_candidates,
    is_constant,
    select_n_clusters,
)
from covey.selection._consensus import VOTERS, middle_half, votes
from covey.selection._explanation import words


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    return make_blobs(300, 10, centers=6, cluster_std=1.0, center_box=(-8, 8), random_state=0)[0].astype(np.float32)


@pytest.fixture(scope="module")
def result(blobs: np.ndarray) -> NClustersResult:
    return select_n_clusters(blobs, range(2, 12), metric="euclidean", random_state=0)


def test_every_criterion_has_the_whole_curve(result: NClustersResult) -> None:
    assert result.evidence.keys() == {*CRITERIA}
    for curve in result.evidence.values():
        assert [row.n_clusters for row in curve] == list(range(2, 12))
    assert result.n_clusters == 6
    assert result.n_clusters in result.plausible
    assert result.criterion == next(iter(result.evidence)) == "consensus"
    assert result.curve == result.evidence["consensus"]
    assert (result.n_images, result.n_features, result.n_rows, result.n_components) == (300, 10, 300, 10)


def test_the_reason_names_the_number_and_the_doubt(result: NClustersResult) -> None:
    assert result.why.startswith("6 clusters are the median of the votes of 5 criteria, of 10 numbers tried from 2 to ")
    assert "At least half of the votes are for 6." in result.why
    assert "Each by itself: silhouette 6, stability 2, coding length 6, held-out coding length 6" in result.why


def test_evidence_is_plain_data_with_each_criterion_by_its_name(result: NClustersResult) -> None:
    evidence = result.to_dict()
    assert json.loads(json.dumps(evidence)) == evidence
    assert evidence["scores"].keys() == {*CRITERIA, *(f"{name}_std" for name in CRITERIA)}
    assert {len(values) for values in evidence["scores"].values()} == {len(evidence["candidates"])}
    assert evidence["interval"] == list(result.interval)
    assert evidence["reason"] == result.why
    assert evidence["choices"]["stability"]["n_clusters"] == 2
    assert evidence["choices"]["consensus"]["interval"] == evidence["interval"]


def test_the_interval_holds_half_of_the_votes_of_all_criteria(result: NClustersResult) -> None:
    ballots = [vote for name in VOTERS for vote in votes(result.evidence[name])]
    assert sorted(votes(result.curve)) == sorted(ballots)
    assert len(ballots) == len(VOTERS) * _row_sample.N_REPEATS
    low, high = result.interval
    assert np.mean([low <= vote <= high for vote in ballots]) >= 0.5
    assert result.n_clusters == sorted(ballots)[len(ballots) // 2]


@pytest.mark.parametrize("criterion", sorted({*CRITERIA} - {"consensus"}))
def test_one_criterion_may_decide_alone(blobs: np.ndarray, criterion: str) -> None:
    result = select_n_clusters(blobs, [2, 4, 6], criterion=criterion, metric="euclidean", random_state=0)
    best = max(result.curve, key=lambda row: row.score)
    assert result.n_clusters == best.n_clusters
    assert list(result.plausible) == [row.n_clusters for row in result.curve if row.score >= best.score - best.spread]
    assert result.interval == middle_half(votes(result.curve))
    assert result.why.startswith(f"{best.n_clusters} clusters have the best {words(criterion)} (")


def test_same_seed_same_result_and_no_global_generator(blobs: np.ndarray, result: NClustersResult) -> None:
    import torch

    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 the caller's
    again = select_n_clusters(blobs, range(2, 12), metric="euclidean", random_state=0)
    assert again == result
    select_n_clusters(blobs, [2, 3], random_state=None)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # noqa: NPY002 the caller's


def test_what_votes_does_not_hang_on_the_other_candidates(blobs: np.ndarray, result: NClustersResult) -> None:
    alone = select_n_clusters(blobs, [6], metric="euclidean", random_state=0)
    for name in VOTERS:
        assert alone.evidence[name][0] == result.evidence[name][4]


@pytest.mark.parametrize("n_rows", [3, 4, 5, 10, 100, 2500, 10_000, 1_000_000])
def test_default_candidates_rise_within_what_is_possible(n_rows: int) -> None:
    candidates = default_candidates(n_rows)
    assert candidates[0] == 2
    assert list(candidates) == sorted(set(candidates))
    assert candidates[-1] <= max(2, min(n_rows - 1, 128))
    assert len(candidates) <= 26


@pytest.mark.parametrize("n_rows", [3, 4, 7])
@pytest.mark.parametrize("n_features", [1, 4, 300])
def test_few_rows_are_enough_however_wide(n_rows: int, n_features: int) -> None:
    X = np.random.default_rng(0).normal(size=(n_rows, n_features))
    result = select_n_clusters(X, metric="euclidean", random_state=0)
    assert 2 <= result.n_clusters < n_rows
    assert result.n_components <= min(n_features, n_rows - 1)
    assert all(np.isfinite(row.score) for curve in result.evidence.values() for row in curve)


def test_looks_closer_between_the_neighbours_of_the_best() -> None:
    scores = {2: 0.1, 12: 0.3, 20: 0.9, 40: 0.2}
    between = _select._closer([CandidateScore(k, score, 0.0) for k, score in scores.items()])
    assert len(between) == _select.N_CLOSER
    assert between[0] == 13
    assert between[-1] == 39
    assert not set(between) & set(scores)


def test_each_criterion_gets_its_closer_look() -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    result = select_n_clusters(X, k_min=12, metric="euclidean", random_state=0)
    grid = default_candidates(200, 12)
    tried = [row.n_clusters for row in result.curve]
    assert set(grid) < set(tried)
    for name in VOTERS:
        first = max((row for row in result.evidence[name] if row.n_clusters in grid), key=lambda row: row.score)
        steps = [pair for pair in pairwise(grid) if first.n_clusters in pair]
        assert any(low < number < high for low, high in steps for number in tried if number not in grid)


def test_a_large_set_is_sampled(blobs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_row_sample, "MAX_ROWS", 120)
    result = select_n_clusters(blobs, [4, 6, 8], metric="euclidean", random_state=0)
    assert (result.n_images, result.n_rows) == (300, 120)
    assert result.n_clusters == 6


def test_wide_rows_are_reduced_and_lengths_do_not_count_under_cosine() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(200)[np.arange(240) % 5] + 0.02 * rng.normal(size=(240, 200))
    lengths = rng.lognormal(sigma=1.5, size=(240, 1))
    plain = select_n_clusters(directions, range(2, 10), random_state=0)
    stretched = select_n_clusters(directions * lengths, range(2, 10), random_state=0)
    assert plain.n_clusters == stretched.n_clusters == 5
    assert plain.n_components == _row_sample.MAX_COMPONENTS


def test_any_clusterer_with_a_number_will_do(blobs: np.ndarray) -> None:
    result = select_n_clusters(
        blobs, range(4, 9), clusterer=AgglomerativeClustering(), metric="euclidean", random_state=0
    )
    assert result.n_clusters == 6


def test_equal_rows_count_once() -> None:
    X = np.repeat(np.eye(3), 10, axis=0)
    result = select_n_clusters(X, random_state=0)
    assert [row.n_clusters for row in result.curve] == [2, 3]
    assert result.n_clusters == 3
    assert [row.n_clusters for row in select_n_clusters(X[:15], random_state=0).curve] == [2]
    with pytest.raises(InvalidValueError, match="X has 3 distinct rows, fewer than k_min=5"):
        select_n_clusters(X, k_min=5)
    asked = select_n_clusters(X, [3, 8], random_state=0)  # more than can be used, but asked for
    assert all(np.isfinite(row.score) for curve in asked.evidence.values() for row in curve)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_one_distinct_row_has_nothing_to_choose(metric: str) -> None:
    X = np.full((20, 7), 0.3)
    if metric == "cosine":
        X *= np.arange(1, 21)[:, None]  # one direction, up to rounding
    assert is_constant(X.astype(np.float32), metric)
    with pytest.raises(InvalidValueError, match="All 20 rows of X are equal or differ by rounding alone"):
        select_n_clusters(X, metric=metric)
    assert not is_constant(np.eye(3, dtype=np.float32), metric)


def test_noise_is_not_sold_as_a_finding() -> None:
    X = np.random.default_rng(0).normal(size=(150, 20))
    result = select_n_clusters(X, metric="euclidean", random_state=0)
    assert "No number separates the images well" in result.why


def test_a_best_at_the_end_is_told(blobs: np.ndarray) -> None:
    result = select_n_clusters(blobs, [2, 3, 4], criterion="coding_length", metric="euclidean", random_state=0)
    assert result.n_clusters == 4
    assert "It is the largest number tried" in result.why


def test_progress_is_told_of_every_candidate(blobs: np.ndarray) -> None:
    told: list[tuple[str, int, int | None]] = []
    select_n_clusters(blobs, [2, 3, 4], random_state=0, progress=lambda *report: told.append(report))
    assert told == [("choose", 1, 3), ("choose", 2, 3), ("choose", 3, 3)]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"candidates": []}, "There are no candidates"),
        ({"candidates": [1, 2]}, "A candidate is 1; candidates must be whole numbers from 2 to 299"),
        ({"candidates": [300]}, "A candidate is 300"),
        ({"candidates": [2.5]}, "A candidate is 2.5"),
        ({"candidates": [True]}, "A candidate is True"),
        ({"metric": "dot"}, "Unknown metric 'dot'; use one of cosine, euclidean"),
    ],
)
def test_says_what_is_wrong(blobs: np.ndarray, keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        select_n_clusters(blobs, **keywords)
    assert isinstance(caught.value, CoveyError)


def test_two_rows_are_too_few_and_criteria_have_names(blobs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="X has 2 rows"):
        select_n_clusters(blobs[:2])
    with pytest.raises(UnknownNameError, match="Did you mean 'silhouette'"):
        select_n_clusters(blobs, criterion="silhouete")


def test_not_a_number_is_refused(blobs: np.ndarray) -> None:
    broken = blobs.copy()
    broken[7, 3] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 300 rows \(first: row 7\)"):
        select_n_clusters(broken)


def test_the_ends_of_the_default_candidates_may_be_given() -> None:
    assert default_candidates(1000, 5, 7) == (5, 6, 7)
    assert default_candidates(1000, k_min=60)[0] == 60
    assert default_candidates(10_000, k_max=300)[-1] == 300
    assert default_candidates(9, k_max=300)[-1] == 8
    assert default_candidates(10_000, k_min=200) == (200,)
    with pytest.raises(InvalidValueError, match="no number of clusters from 20 to 10 for 1000 images"):
        default_candidates(1000, 20, 10)


def test_the_range_goes_on_while_a_criterion_is_at_its_end() -> None:
    """60 clusters of 8 or 9 rows: the default limit of 2 sqrt(500) = 44 would cut the answer off."""
    X, _ = make_blobs(500, 12, centers=60, cluster_std=0.3, center_box=(-8, 8), random_state=0)
    result = select_n_clusters(X.astype(np.float32), metric="euclidean", random_state=0, k_min=42)
    assert default_candidates(500)[-1] == 44
    assert result.curve[-1].n_clusters > 60
    assert result.n_clusters == pytest.approx(60, rel=0.1)
    kept = select_n_clusters(X.astype(np.float32), metric="euclidean", random_state=0, k_min=42, k_max=44)
    assert kept.curve[-1].n_clusters == 44
    assert "at the largest number tried: --k-max tries larger ones" in kept.why


def test_the_range_ends_at_five_rows_a_cluster() -> None:
    X, _ = make_blobs(150, 8, centers=60, cluster_std=0.01, center_box=(-8, 8), random_state=0)
    result = select_n_clusters(X.astype(np.float32), metric="euclidean", random_state=0, k_min=22)
    assert result.curve[-1].n_clusters == 30
    assert "at the largest number tried: --k-max tries larger ones" in result.why
