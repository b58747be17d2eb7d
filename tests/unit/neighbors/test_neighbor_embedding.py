"""The neighbor embedding: its graph against naive twins, its placement against what neighbors demand."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.datasets import load_digits, make_blobs
from sklearn.manifold import trustworthiness

from covey.neighbors import nearest_neighbors, neighbor_embedding
from covey.neighbors._embedding import edge_probabilities, fuzzy_weights
from covey.types import NeighborGraph


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(240, n_features=20, centers=6, cluster_std=1.0, center_box=(-8, 8), random_state=0)
    return X.astype(np.float32), y


def test_memberships_are_those_of_a_naive_root_search() -> None:
    distances = np.sort(np.random.default_rng(0).gamma(2.0, size=(30, 8)), axis=1).astype(np.float32)
    weights = fuzzy_weights(distances)
    for row, found in zip(distances.astype(float), weights, strict=True):
        excess = np.maximum(row - row[0], 0)
        sigma = np.exp(brentq(lambda s, e=excess: np.exp(-e / np.exp(s)).sum() - np.log2(8), -15, 15))
        np.testing.assert_allclose(found, np.exp(-excess / sigma), atol=1e-5)
    np.testing.assert_array_equal(weights[:, 0], 1.0)


def test_equal_distances_have_full_membership() -> None:
    np.testing.assert_allclose(fuzzy_weights(np.full((3, 6), 0.4, dtype=np.float32)), 1.0)


def test_edges_are_the_union_of_both_directions() -> None:
    X = np.random.default_rng(1).normal(size=(25, 5)).astype(np.float32)
    graph = nearest_neighbors(X, n_neighbors=4)
    directed = np.zeros((25, 25))
    np.put_along_axis(directed, graph.indices, fuzzy_weights(graph.distances), axis=1)
    expected = np.empty(graph.indices.shape)
    for i, row in enumerate(graph.indices):
        for s, j in enumerate(row):
            union = directed[i, j] + directed[j, i] - directed[i, j] * directed[j, i]
            expected[i, s] = union if directed[j, i] > 0 else min(2 * union, 1)
    np.testing.assert_allclose(edge_probabilities(graph), expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_groups_stay_together(blobs: tuple[np.ndarray, np.ndarray], n_components: int) -> None:
    X, y = blobs
    embedding = neighbor_embedding(
        X, nearest_neighbors(X, n_neighbors=10), n_components=n_components, n_epochs=120, random_state=0
    )
    assert embedding.shape == (240, n_components)
    assert embedding.dtype == np.float32
    nearest = nearest_neighbors(embedding, n_neighbors=5, metric="euclidean").indices
    assert (y[nearest] == y[:, None]).mean() > 0.98


def test_the_same_seed_gives_the_same_places_and_other_generators_are_untouched(
    blobs: tuple[np.ndarray, np.ndarray],
) -> None:
    X, _ = blobs
    graph = nearest_neighbors(X, n_neighbors=8)
    state = torch.random.get_rng_state()
    first, second = (neighbor_embedding(X, graph, n_epochs=20, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (neighbor_embedding(X, graph, n_epochs=20, random_state=4) != first).any()


def test_equal_rows_and_few_rows_have_finite_places() -> None:
    X = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert np.isfinite(neighbor_embedding(X, nearest_neighbors(X, n_neighbors=5), n_epochs=30, random_state=0)).all()
    pair = np.eye(2, dtype=np.float32)
    assert neighbor_embedding(pair, nearest_neighbors(pair, n_neighbors=1), random_state=0).shape == (2, 2)
    alone = NeighborGraph(np.empty((1, 0), dtype=np.int64), np.empty((1, 0), dtype=np.float32), "cosine")
    assert neighbor_embedding(pair[:1], alone, random_state=0).shape == (1, 2)


def test_progress_counts_the_passes(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    calls: list[tuple[str, int, int | None]] = []
    X, _ = blobs
    neighbor_embedding(
        X, nearest_neighbors(X, n_neighbors=4), n_epochs=3, random_state=0, progress=lambda *call: calls.append(call)
    )
    assert calls == [("embedding", 1, 3), ("embedding", 2, 3), ("embedding", 3, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 0}, "n_components is 0; it must be from 1 to 20"),
        ({"n_components": 21}, "n_components is 21"),
        ({"min_dist": 1.5}, "min_dist is 1.5"),
        ({"n_negatives": 0}, "n_negatives is 0"),
        ({"n_epochs": 0}, "n_epochs is 0"),
    ],
)
def test_what_is_out_of_range_says_what_is_allowed(
    blobs: tuple[np.ndarray, np.ndarray], changes: dict[str, float], message: str
) -> None:
    X, _ = blobs
    with pytest.raises(ValueError, match=message):
        neighbor_embedding(X, nearest_neighbors(X, n_neighbors=4), **changes)


def test_neighbors_of_other_rows_are_refused(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    with pytest.raises(ValueError, match="neighbors has 240 rows, X has 100"):
        neighbor_embedding(X[:100], nearest_neighbors(X, n_neighbors=4))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("umap") is None, reason="needs umap-learn, with which it is compared")
def test_neighbors_are_kept_as_well_as_by_umap() -> None:
    import umap

    X = load_digits().data.astype(np.float32)
    ours = neighbor_embedding(X, nearest_neighbors(X, n_neighbors=15), random_state=0)
    theirs = umap.UMAP(n_neighbors=15, metric="cosine", random_state=0, n_jobs=1).fit_transform(X)
    kept, compared = (trustworthiness(X, places, n_neighbors=15, metric="cosine") for places in (ours, theirs))
    assert kept > compared - 0.01
