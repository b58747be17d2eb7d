"""Choosing the number of clusters: what is found on groups that are there, and what is said when none are."""

import json
from itertools import pairwise

import numpy as np
import pytest

from covey.errors import InvalidValueError, UnknownNameError
from covey.selection import CRITERIA, default_candidates, select_n_clusters
from covey.selection._criteria import Evidence, silhouette_stability
from covey.selection._select import reduce_features


def blobs(n_groups: int, n_rows: int = 240, d: int = 24, spread: float = 0.12) -> np.ndarray:
    rng = np.random.default_rng(n_groups)
    centers = np.linalg.qr(rng.normal(size=(d, d)))[0][:n_groups]
    return (centers[np.arange(n_rows) % n_groups] + spread * rng.normal(size=(n_rows, d))).astype(np.float32)


@pytest.mark.parametrize("criterion", list(CRITERIA))
@pytest.mark.parametrize("n_groups", [3, 7])
def test_every_criterion_counts_separated_groups(criterion: str, n_groups: int) -> None:
    result = select_n_clusters(blobs(n_groups), range(2, 12), criterion=criterion, random_state=0)
    assert result.n_clusters == n_groups
    assert result.interval[0] <= n_groups <= result.interval[1]
    assert result.criterion == criterion
    assert result.candidates == tuple(range(2, 12))


def test_the_curve_is_kept_and_survives_json() -> None:
    result = select_n_clusters(blobs(4), k_max=9, random_state=0)
    told = json.loads(json.dumps(result.to_dict()))
    assert told["n_clusters"] == 4
    assert {len(values) for values in told["scores"].values()} == {len(told["candidates"])}
    assert next(iter(told["scores"])) == "silhouette_stability"
    assert "4 clusters: silhouette" in told["reason"]
    np.testing.assert_allclose(
        told["scores"]["silhouette_stability"],
        np.maximum(told["scores"]["silhouette"], 0) * np.maximum(told["scores"]["stability"], 0),
        atol=1e-5,
    )


def test_the_grid_is_made_finer_around_the_best() -> None:
    X = blobs(19, n_rows=600, d=40, spread=0.05)
    assert 19 not in default_candidates(len(X))
    assert select_n_clusters(X, random_state=0).n_clusters == 19


def test_the_same_seed_gives_the_same_evidence_and_no_global_state_moves() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator is what must stay as it is
    first, second = (select_n_clusters(blobs(3), [2, 3, 4], random_state=5) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002  as above


def test_noise_is_called_weak() -> None:
    X = np.random.default_rng(0).normal(size=(300, 30)).astype(np.float32)
    result = select_n_clusters(X, [2, 3, 4, 8, 12], random_state=0)
    assert "evidence is weak" in result.reason
    assert "evidence is weak" not in select_n_clusters(blobs(3), [2, 3, 4], random_state=0).reason


@pytest.mark.parametrize("X", [np.eye(3), np.ones((50, 4)), np.repeat(np.eye(2), 20, axis=0), np.ones((1, 4))])
def test_too_little_to_choose_from_is_one_cluster(X: np.ndarray) -> None:
    result = select_n_clusters(X, random_state=0)
    assert result.n_clusters == 1
    assert "too few to look for groups" in result.reason


@pytest.mark.parametrize("n_rows", [4, 5, 9, 24])
def test_few_rows_are_enough(n_rows: int) -> None:
    result = select_n_clusters(blobs(2, n_rows=n_rows), random_state=0)
    assert 1 <= result.n_clusters < n_rows


def test_progress_is_told_for_each_candidate() -> None:
    told: list[tuple[str, int, int | None]] = []
    select_n_clusters(blobs(3), [2, 3, 4], random_state=0, progress=lambda *step: told.append(step))
    assert told == [("choose", 1, 3), ("choose", 2, 3), ("choose", 3, 3)]


def test_another_clusterer_may_be_asked() -> None:
    from sklearn.cluster import KMeans

    result = select_n_clusters(blobs(3), [2, 3, 4], clusterer=KMeans(n_init=2), random_state=0)
    assert result.n_clusters == 3


@pytest.mark.parametrize("candidates", [[1, 2], [2, 240], []])
def test_candidates_out_of_range(candidates: list[int]) -> None:
    with pytest.raises(InvalidValueError, match="numbers from 2 to 239"):
        select_n_clusters(blobs(3), candidates)


def test_an_empty_range_and_an_unknown_criterion() -> None:
    with pytest.raises(InvalidValueError, match="no number of clusters between 20 and 10"):
        select_n_clusters(blobs(3), k_min=20, k_max=10)
    with pytest.raises(UnknownNameError, match="Did you mean 'silhouette'"):
        select_n_clusters(blobs(3), criterion="silhouete")


def test_the_default_grid() -> None:
    assert default_candidates(24) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert default_candidates(5) == [2, 3, 4]
    grid = default_candidates(1_000_000)
    assert grid[:11] == list(range(2, 13))
    assert grid[-1] == 100
    assert all(later / earlier < 1.6 for earlier, later in pairwise(grid))
    assert default_candidates(1000, 5, 7) == [5, 6, 7]


def test_the_product_wants_both_and_counts_negatives_as_zero() -> None:
    evidence = Evidence(
        np.array([2, 3, 4, 5]),
        silhouette=np.array([0.1, 0.4, -0.2, 0.5]),
        stability=np.array([1.0, 0.8, 0.9, -0.1]),
        stability_std=np.array([0.0, 0.1, 0.1, 0.1]),
    )
    scores, deviations = silhouette_stability(evidence)
    np.testing.assert_allclose(scores, [0.1, 0.32, 0, 0])
    np.testing.assert_allclose(deviations, [0, 0.04, 0, 0.05])


def test_reduction_agrees_with_the_singular_vectors() -> None:
    X = blobs(5)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centered = unit - unit.mean(axis=0)
    expected = np.linalg.svd(centered, full_matrices=False)[1][:6]
    np.testing.assert_allclose(np.linalg.norm(reduce_features(X, 6), axis=0), expected, rtol=1e-3)
