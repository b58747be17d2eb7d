import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey import _blocks
from covey.neighbors import _exact_neighbors, nearest_neighbors

rows = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).normal(size=(150, 6)).astype(np.float32))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("has_twins", [False, True])
def test_chunked_is_whole(monkeypatch: pytest.MonkeyPatch, metric: str, precision: str, has_twins: bool) -> None:
    X = np.random.default_rng(0).normal(size=(500, 12)).astype(np.float32)
    if has_twins:
        X[250:] = X[:250]
        X[100:180] = X[0]
    whole = nearest_neighbors(X, n_neighbors=20, metric=metric, precision=precision)
    monkeypatch.setattr(_blocks, "_MAX_COLUMNS", 128)
    monkeypatch.setattr(_exact_neighbors, "_TILE_BYTES", {"cpu": 128 * 4 * 7})
    monkeypatch.setattr(_exact_neighbors, "_GATHER_BYTES", {"cpu": 12 * 4 * 25 * 3})
    chunked = nearest_neighbors(X, n_neighbors=20, metric=metric, precision=precision)
    np.testing.assert_array_equal(chunked.indices, whole.indices)
    np.testing.assert_array_equal(chunked.distances, whole.distances)


@settings(max_examples=25, deadline=None)
@given(rows, st.sampled_from(["cosine", "euclidean"]))
def test_precision_does_not_change_the_graph(X: np.ndarray, metric: str) -> None:
    one = nearest_neighbors(X, n_neighbors=9, metric=metric, precision="float32")
    other = nearest_neighbors(X, n_neighbors=9, metric=metric, precision="bfloat16")
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.distances, other.distances)


@settings(max_examples=25, deadline=None)
@given(rows, st.integers(0, 2**31))
def test_the_order_of_rows_only_renames_neighbours(X: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(X))
    graph = nearest_neighbors(X, n_neighbors=9, metric="euclidean")
    shuffled = nearest_neighbors(X[order], n_neighbors=9, metric="euclidean")
    np.testing.assert_allclose(shuffled.distances, graph.distances[order], rtol=1e-5)
    assert (order[shuffled.indices] == graph.indices[order]).mean() > 0.999  # the centre's last digit may turn a tie


@settings(max_examples=25, deadline=None)
@given(rows, st.sampled_from([0.25, 4.0, 1024.0]))
def test_cosine_does_not_hang_on_length(X: np.ndarray, scale: float) -> None:
    graph = nearest_neighbors(X, n_neighbors=9)
    scaled = nearest_neighbors(X * np.float32(scale), n_neighbors=9)
    np.testing.assert_array_equal(scaled.indices, graph.indices)


@settings(max_examples=25, deadline=None)
@given(rows, st.integers(1, 20))
def test_fewer_neighbours_are_the_first_of_more(X: np.ndarray, n_neighbors: int) -> None:
    few = nearest_neighbors(X, n_neighbors=n_neighbors)
    many = nearest_neighbors(X, n_neighbors=30)
    np.testing.assert_array_equal(few.indices, many.indices[:, :n_neighbors])
