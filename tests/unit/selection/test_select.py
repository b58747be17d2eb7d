import json
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import make_blobs

from covey.errors import CoveyError, InvalidValueError, UnknownNameError
from covey.selection import CandidateScore, NClustersResult, _select, default_candidates, select_n_clusters


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    return make_blobs(300, 10, centers=6, cluster_std=1.0, center_box=(-8, 8), random_state=0)[0].astype(np.float32)


@pytest.fixture(scope="module")
def result(blobs: np.ndarray) -> NClustersResult:
    return select_n_clusters(blobs, range(2, 12), metric="euclidean", random_state=0)


def test_the_whole_curve_is_kept(result: NClustersResult) -> None:
    assert [row.n_clusters for row in result.curve] == list(range(2, 12))
    assert result.n_clusters == 6
    assert result.n_clusters in result.plausible
    assert result.criterion == "silhouette_stability"
    assert result.n_rows == 300
    for row in result.curve:
        assert set(row.details) == {"silhouette", "silhouette_spread", "stability", "stability_spread"}
        assert np.isfinite([row.score, row.spread, *row.details.values()]).all()


def test_the_reason_names_the_number_and_the_doubt(result: NClustersResult) -> None:
    assert result.why.startswith("6 clusters have the best silhouette x stability (silhouette 0.")
    assert "of 10 numbers tried from 2 to 11" in result.why


def test_evidence_is_plain_data_with_the_deciding_score_by_its_name(result: NClustersResult) -> None:
    evidence = result.to_dict()
    assert json.loads(json.dumps(evidence)) == evidence
    names = ("silhouette_stability", "silhouette", "stability")
    assert evidence["scores"].keys() == {*names, *(f"{name}_std" for name in names)}
    assert {len(values) for values in evidence["scores"].values()} == {len(evidence["candidates"])}
    assert evidence["interval"] == [evidence["plausible"][0], evidence["plausible"][-1]]
    assert all(len(values) == len(evidence["candidates"]) for values in evidence["scores"].values())
    assert evidence["reason"] == result.why


def test_plausible_are_those_within_one_standard_deviation(result: NClustersResult) -> None:
    best = max(result.curve, key=lambda row: row.score)
    within = [row.n_clusters for row in result.curve if row.score >= best.score - best.spread]
    assert list(result.plausible) == within


def test_same_seed_same_result_and_no_global_generator(blobs: np.ndarray, result: NClustersResult) -> None:
    import torch

    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 the caller's
    again = select_n_clusters(blobs, range(2, 12), metric="euclidean", random_state=0)
    assert again == result
    select_n_clusters(blobs, [2, 3], random_state=None)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # noqa: NPY002 the caller's


def test_a_score_does_not_hang_on_the_other_candidates(blobs: np.ndarray, result: NClustersResult) -> None:
    alone = select_n_clusters(blobs, [6], metric="euclidean", random_state=0)
    assert alone.curve[0] == result.curve[4]


@pytest.mark.parametrize("n_rows", [3, 4, 5, 10, 100, 2500, 10_000, 1_000_000])
def test_default_candidates_rise_within_what_is_possible(n_rows: int) -> None:
    candidates = default_candidates(n_rows)
    assert candidates[0] == 2
    assert list(candidates) == sorted(set(candidates))
    assert candidates[-1] <= max(2, min(n_rows - 1, 128))
    assert len(candidates) <= 26


@pytest.mark.parametrize("n_rows", [3, 4, 7])
def test_few_rows_are_enough(n_rows: int) -> None:
    X = np.random.default_rng(0).normal(size=(n_rows, 4))
    assert 2 <= select_n_clusters(X, random_state=0).n_clusters < n_rows


def test_looks_closer_between_the_neighbours_of_the_best() -> None:
    scores = {2: 0.1, 12: 0.3, 20: 0.9, 40: 0.2}
    between = _select._closer([CandidateScore(k, score, 0.0) for k, score in scores.items()])
    assert len(between) == _select.N_CLOSER
    assert between[0] == 13
    assert between[-1] == 39
    assert not set(between) & set(scores)


def test_a_large_set_is_sampled(blobs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_select, "MAX_ROWS", 120)
    result = select_n_clusters(blobs, [4, 6, 8], metric="euclidean", random_state=0)
    assert result.n_rows == 120
    assert result.n_clusters == 6


def test_wide_rows_are_reduced_and_lengths_do_not_count_under_cosine() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(200)[np.arange(240) % 5] + 0.02 * rng.normal(size=(240, 200))
    lengths = rng.lognormal(sigma=1.5, size=(240, 1))
    plain = select_n_clusters(directions, range(2, 10), random_state=0)
    stretched = select_n_clusters(directions * lengths, range(2, 10), random_state=0)
    assert plain.n_clusters == stretched.n_clusters == 5


def test_any_clusterer_with_a_number_will_do(blobs: np.ndarray) -> None:
    result = select_n_clusters(
        blobs, range(4, 9), clusterer=AgglomerativeClustering(), metric="euclidean", random_state=0
    )
    assert result.n_clusters == 6


def test_equal_rows_do_not_stop_it() -> None:
    X = np.repeat(np.eye(3), 10, axis=0)
    assert select_n_clusters(X, random_state=0).n_clusters == 3


def test_noise_is_not_sold_as_a_finding() -> None:
    X = np.random.default_rng(0).normal(size=(400, 30))
    result = select_n_clusters(X, metric="euclidean", random_state=0)
    assert max(row.score for row in result.curve) < 0.1


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


def test_the_ends_of_the_default_candidates_may_be_given() -> None:
    assert default_candidates(1000, 5, 7) == (5, 6, 7)
    assert default_candidates(1000, k_min=60)[0] == 60
    assert default_candidates(10_000, k_max=300)[-1] == 300
    assert default_candidates(9, k_max=300)[-1] == 8
    assert default_candidates(10_000, k_min=200) == (200,)
    with pytest.raises(InvalidValueError, match="no number of clusters from 20 to 10 for 1000 images"):
        default_candidates(1000, 20, 10)
