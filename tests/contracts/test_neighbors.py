"""What every registered neighbour engine promises."""

import numpy as np
import pytest

from covey.neighbors import METRIC_NAMES, NEIGHBOR_ENGINES, nearest_neighbors
from covey.types import NeighborGraph

MIN_RECALL = 0.95  # of an approximate engine; the exact one is held to more in tests/reference


@pytest.fixture(params=sorted(NEIGHBOR_ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=METRIC_NAMES)
def metric(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def clustered_rows(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = 3 * rng.normal(size=(8, 16))
    return (centers[rng.integers(0, 8, n)] + rng.normal(size=(n, 16))).astype(np.float32)


def recall(graph: NeighborGraph, exact: NeighborGraph) -> float:
    found = [np.isin(a, b).mean() for a, b in zip(exact.indices, graph.indices, strict=True)]
    return float(np.mean(found))


def test_recalls_the_exact_neighbours(engine: str, metric: str) -> None:
    X = clustered_rows(600)
    exact = nearest_neighbors(X, n_neighbors=10, metric=metric, precision="float32")
    assert recall(nearest_neighbors(X, n_neighbors=10, metric=metric, engine=engine), exact) >= MIN_RECALL


def test_nearest_come_first_with_their_distances(engine: str, metric: str) -> None:
    X = clustered_rows(200)
    graph = nearest_neighbors(X, n_neighbors=10, metric=metric, engine=engine)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
    lengths = np.linalg.norm(rows[:, None] - rows[graph.indices], axis=2)
    expected = lengths**2 / 2 if metric == "cosine" else lengths
    np.testing.assert_allclose(graph.distances, expected, atol=1e-4)
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    assert graph.metric == metric


def test_no_row_contains_itself_nor_another_twice(engine: str, metric: str) -> None:
    X = np.vstack([clustered_rows(60), clustered_rows(60)])  # each row has a twin
    graph = nearest_neighbors(X, n_neighbors=7, metric=metric, engine=engine)
    for i, row in enumerate(graph.indices.tolist()):
        assert i not in row
        assert len(set(row)) == 7


@pytest.mark.parametrize("n", [2, 3, 9])
def test_small_sets_work(engine: str, metric: str, n: int) -> None:
    graph = nearest_neighbors(clustered_rows(n), n_neighbors=n - 1, metric=metric, engine=engine)
    assert graph.indices.shape == (n, n - 1)
    assert graph.indices.dtype == np.int64
    assert graph.distances.dtype == np.float32
    assert all(sorted([i, *row]) == list(range(n)) for i, row in enumerate(graph.indices.tolist()))


def test_same_rows_same_graph(engine: str, metric: str) -> None:
    X = clustered_rows(300)
    first, second = (nearest_neighbors(X, n_neighbors=5, metric=metric, engine=engine) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.distances, second.distances)


def test_no_global_generator_is_used(engine: str) -> None:
    import torch

    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 the caller's
    nearest_neighbors(clustered_rows(50), n_neighbors=3, engine=engine)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # noqa: NPY002 the caller's
