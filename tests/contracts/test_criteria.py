"""What every registered criterion for the number of clusters promises."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from covey.selection import CRITERIA, NClustersResult, Sample, select_n_clusters

CANDIDATES = (2, 4, 9)


@pytest.fixture(params=sorted(CRITERIA))
def criterion(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def separated(n_clusters: int, seed: int) -> np.ndarray:
    """Corners of a simplex: no two clusters are nearer than others, so no smaller number is natural."""
    rng = np.random.default_rng(seed)
    return (20 * np.eye(12)[np.arange(300) % n_clusters] + rng.normal(size=(300, 12))).astype(np.float32)


@cache
def chosen(n_clusters: int, seed: int) -> NClustersResult:
    """All criteria judge the same partitions, so one choice serves them all."""
    return select_n_clusters(separated(n_clusters, seed), range(2, 11), metric="euclidean", random_state=seed)


def overlapping() -> np.ndarray:
    return make_blobs(150, 6, centers=4, cluster_std=3.0, random_state=0)[0].astype(np.float32)


@pytest.mark.parametrize("n_clusters", [3, 5, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_separated_blobs(criterion: str, n_clusters: int, seed: int) -> None:
    result = chosen(n_clusters, seed)
    assert result.to_dict()["choices"][criterion]["n_clusters"] == n_clusters
    assert [row.n_clusters for row in result.evidence[criterion]] == list(range(2, 11))


def test_decides_if_asked(criterion: str) -> None:
    result = select_n_clusters(overlapping(), [2, 4], criterion=criterion, metric="euclidean", random_state=1)
    assert result.criterion == criterion
    assert result.curve == result.evidence[criterion]
    assert result.to_dict()["scores"][criterion] == [row.score for row in result.curve]


def test_scores_are_finite_and_repeatable(criterion: str) -> None:
    first, second = (CRITERIA[criterion](Sample(overlapping(), None, 5), CANDIDATES) for _ in range(2))
    assert first == second
    for row in first:
        assert np.isfinite([row.score, row.spread, *row.repeats, *row.details.values()]).all()
        assert row.spread >= 0
        assert len(row.repeats) >= 2


def test_another_seed_draws_other_subsamples(criterion: str) -> None:
    scores = [
        [row.score for row in CRITERIA[criterion](Sample(overlapping(), None, seed), range(2, 9))] for seed in (5, 6)
    ]
    assert scores[0] != scores[1]


def test_listing_criteria_imports_nothing_heavy() -> None:
    code = "import sys, covey.selection as s; list(s.CRITERIA); assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
