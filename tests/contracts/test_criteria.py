"""What every registered criterion for the number of clusters promises."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from covey.selection import CRITERIA, select_n_clusters


@pytest.fixture(params=sorted(CRITERIA))
def criterion(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def separated(n_clusters: int, seed: int) -> np.ndarray:
    """Corners of a simplex: no two clusters are nearer than others, so no smaller number is natural."""
    rng = np.random.default_rng(seed)
    return (20 * np.eye(12)[np.arange(300) % n_clusters] + rng.normal(size=(300, 12))).astype(np.float32)


@pytest.mark.parametrize("n_clusters", [3, 5, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_separated_blobs(criterion: str, n_clusters: int, seed: int) -> None:
    X = separated(n_clusters, seed)
    result = select_n_clusters(X, range(2, 11), criterion=criterion, metric="euclidean", random_state=seed)
    assert result.n_clusters == n_clusters
    assert result.criterion == criterion


def test_scores_are_finite_and_repeatable(criterion: str) -> None:
    X, _ = make_blobs(150, 6, centers=4, cluster_std=3.0, random_state=0)
    first, second = (select_n_clusters(X, [2, 4, 9], criterion=criterion, random_state=5) for _ in range(2))
    assert first == second
    for row in first.curve:
        assert np.isfinite([row.score, row.spread, *row.details.values()]).all()
        assert row.spread >= 0


def test_the_evidence_carries_its_score(criterion: str) -> None:
    result = select_n_clusters(separated(3, 0), [2, 3], criterion=criterion, random_state=0)
    assert result.to_dict()["scores"][criterion] == [row.score for row in result.curve]


def test_listing_criteria_imports_nothing_heavy() -> None:
    code = "import sys, covey.selection as s; list(s.CRITERIA); assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
