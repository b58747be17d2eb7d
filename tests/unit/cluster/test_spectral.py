"""Spectral clustering: the graph, its parts, its eigenvectors, the vote on new rows."""

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array, random_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import l2_normalize
from covey.cluster import SpectralClustering, _spectral
from covey.cluster._spectral import neighbor_affinity, spectral_partition
from covey.cluster._voting import unify_equal_rows, vote_of_nearest
from covey.errors import ConvergenceError
from covey.metrics import adjusted_rand_score
from covey.neighbors import nearest_neighbors
from covey.types import NOISE, NeighborGraph


def connected(n: int, rng: np.random.Generator) -> csr_array:
    """Return a connected random affinity with a chain through all rows."""
    noise = random_array((n, n), density=0.1, rng=rng)
    chain = csr_array((np.ones(n - 1), (np.arange(n - 1), np.arange(1, n))), shape=(n, n))
    affinity = csr_array(noise + noise.T + chain + chain.T)
    affinity.setdiag(0)
    return affinity


@pytest.fixture
def arcs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two bent bands of directions, which no pair of means can tell apart."""
    angle = rng.uniform(0, np.pi, 400)
    y = np.arange(400) % 2
    x = np.where(y, 1 - np.cos(angle), np.cos(angle))
    z = np.where(y, 0.5 - np.sin(angle), np.sin(angle))
    X = np.stack([x, z, np.full(400, 3.0)], axis=1) + 0.04 * rng.normal(size=(400, 3))
    return X.astype(np.float32), y


@pytest.mark.parametrize("weights", ["self-tuning", "binary"])
def test_follows_a_bent_band(arcs: tuple[np.ndarray, np.ndarray], weights: str) -> None:
    X, y = arcs
    model = SpectralClustering(2, n_neighbors=10, weights=weights, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    fresh = X + 0.01
    assert adjusted_rand_score(y, model.predict(fresh)) > 0.95


def test_affinity_is_its_formula(rng: np.random.Generator) -> None:
    rows = l2_normalize(rng.normal(size=(30, 4)).astype(np.float32))
    graph = nearest_neighbors(rows, n_neighbors=9)
    distances = np.linalg.norm(rows[:, None].astype(np.float64) - rows, axis=2)
    expected = np.zeros((30, 30))
    for i in range(30):
        for j in graph.indices[i]:
            scales = [distances[row, graph.indices[row, 6]] for row in (i, j)]
            expected[i, j] = np.exp(-(distances[i, j] ** 2) / np.prod(scales))
    np.testing.assert_allclose(neighbor_affinity(graph).toarray(), (expected + expected.T) / 2, rtol=1e-4, atol=1e-7)
    counts = neighbor_affinity(graph, weights="binary").toarray()
    np.testing.assert_array_equal(counts, ((expected > 0) + 0.0 + (expected.T > 0)) / 2)


@pytest.mark.parametrize("dense_rows", [0, 400])
def test_eigenvalues_are_those_of_the_dense_laplacian(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, dense_rows: int
) -> None:
    monkeypatch.setattr(_spectral, "_DENSE_ROWS", dense_rows)
    affinity = csr_array(block_diag([connected(n, rng) for n in (40, 25, 60)]))
    found = spectral_partition(affinity, 6, n_init=2, seed=0)
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    laplacian = np.eye(125) - affinity.toarray() * scale[:, None] * scale
    expected, vectors = np.linalg.eigh(laplacian)
    np.testing.assert_allclose(found.eigenvalues, expected[:6], atol=1e-6)
    assert found.n_components == 3
    assert (found.labels >= 0).all()
    # The vectors span the same space, up to the scaling of the rows.
    unscaled = vectors[:, :6] / np.linalg.norm(vectors[:, :6], axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, unscaled @ unscaled.T, atol=1e-3)


def test_as_many_parts_as_clusters_are_the_clusters(rng: np.random.Generator) -> None:
    affinity = csr_array(block_diag([connected(n, rng) for n in (30, 10, 20)]))
    found = spectral_partition(affinity, 3, n_init=1, seed=0)
    assert adjusted_rand_score(connected_components(affinity)[1], found.labels) == 1
    np.testing.assert_allclose(found.eigenvalues, 0, atol=1e-9)


def test_parts_beyond_the_clusters_and_rows_without_edges_take_no_part(rng: np.random.Generator) -> None:
    affinity = csr_array(block_diag([connected(30, rng), connected(5, rng), connected(20, rng), np.zeros((2, 2))]))
    found = spectral_partition(affinity, 2, n_init=1, seed=0)
    assert found.n_components == 3
    np.testing.assert_array_equal(np.flatnonzero(found.labels == NOISE), [*range(30, 35), 55, 56])
    assert adjusted_rand_score([0] * 30 + [1] * 5 + [2] * 20 + [1] * 2, found.labels) == 1
    assert (found.vectors[30:35] == 0).all()


def test_no_edge_is_an_error_and_one_pair_is_not() -> None:
    with pytest.raises(ConvergenceError, match="no edge"):
        spectral_partition(csr_array((5, 5)), 2, n_init=1, seed=0)
    pair = csr_array((np.ones(2), ([0, 1], [1, 0])), shape=(5, 5))
    found = spectral_partition(pair, 2, n_init=1, seed=0)
    assert found.n_components == 1
    assert (found.labels == NOISE).sum() == 3


def test_a_graph_that_falls_apart_is_reported(rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(4), 20)
    X = 5 * np.eye(4)[y] + 0.1 * rng.normal(size=(80, 4))
    with pytest.warns(ConvergenceWarning, match="falls into 4 parts, more than n_clusters=3.*Raise n_neighbors"):
        model = SpectralClustering(3, n_neighbors=5, random_state=0).fit(X)
    assert model.diagnostics_["n_components"] == 4
    assert model.diagnostics_["n_rows_outside"] == 20
    assert set(model.labels_) == {0, 1, 2}
    whole = SpectralClustering(4, n_neighbors=5, random_state=0).fit(X)
    assert adjusted_rand_score(y, whole.labels_) == 1
    assert whole.eigenvalues_.max() < 1e-9


def test_equal_and_constant_rows_have_one_label(rng: np.random.Generator) -> None:
    X = np.repeat(rng.normal(size=(10, 3)), 6, axis=0)
    labels = SpectralClustering(3, n_neighbors=12, random_state=0).fit(X).labels_
    assert all(len(set(labels[start : start + 6])) == 1 for start in range(0, 60, 6))
    with pytest.warns(ConvergenceWarning, match="1 clusters were found"):
        constant = SpectralClustering(2, random_state=0).fit(np.ones((20, 3)))
    assert len(set(constant.labels_)) == 1


def test_a_fit_that_fails_in_its_last_step_changes_nothing(arcs: tuple[np.ndarray, np.ndarray]) -> None:
    model = SpectralClustering(2, n_neighbors=10, random_state=0).fit(arcs[0])
    before = dict(vars(model))
    with pytest.warns(ConvergenceWarning), pytest.raises(RuntimeError, match="the last step"):
        model.fit(np.ones((20, 3)), progress=_fail_last)
    assert vars(model) == before


def _fail_last(_stage: str, n_done: int, n_total: int | None) -> None:
    if n_done == n_total:
        raise RuntimeError("the last step")


def test_fewer_rows_than_features_or_neighbours(rng: np.random.Generator) -> None:
    y = np.arange(8) % 2
    X = 5 * np.eye(50)[y] + rng.normal(size=(8, 50)) / 10
    assert adjusted_rand_score(y, SpectralClustering(2, n_neighbors=3, random_state=0).fit(X).labels_) == 1
    assert SpectralClustering(8, n_neighbors=50, random_state=0).fit(X).labels_.shape == (8,)
    assert SpectralClustering(1).fit(X[:1]).labels_.tolist() == [0]


def test_a_graph_may_be_given(arcs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = arcs
    model = SpectralClustering(2, n_neighbors=10, random_state=0)
    own = model.fit(X).labels_
    np.testing.assert_array_equal(model.fit(X, neighbors=nearest_neighbors(X, n_neighbors=20)).labels_, own)
    with pytest.raises(ValueError, match="neighbors has 300 rows"):
        model.fit(X, neighbors=nearest_neighbors(X[:300], n_neighbors=20))
    with pytest.raises(ValueError, match="metric 'euclidean'"):
        model.fit(X, neighbors=nearest_neighbors(X, n_neighbors=20, metric="euclidean"))


def test_vote_weighs_by_nearness_and_an_equal_row_decides() -> None:
    angle = np.array([0.0, 0.3, 0.31, 2.0])
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    labels = np.array([0, 1, 1, 2])
    asked = np.array([0.0, 0.05, 0.2, 3.0])
    queries = np.stack([np.cos(asked), np.sin(asked)], axis=1).astype(np.float32)
    found = vote_of_nearest(queries, rows, labels, n_votes=3, device="cpu")
    np.testing.assert_array_equal(found, [0, 0, 1, 2])


def test_equal_rows_take_the_most_frequent_label() -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(unify_equal_rows(rows, np.array([2, 1, 0, 2, 0])), [2, 0, 2, 2, 0])


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"n_neighbors": 0}, ValueError, "n_neighbors is 0"),
        ({"n_init": 1.0}, TypeError, "n_init is 1.0"),
        ({"n_votes": 0}, ValueError, "n_votes is 0"),
        ({"weights": "cosine"}, ValueError, "weights is 'cosine'"),
        ({"n_clusters": 500}, ValueError, "n_clusters is 500"),
    ],
)
def test_wrong_parameters_are_named(
    arcs: tuple[np.ndarray, np.ndarray], keywords: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        SpectralClustering(**keywords).fit(arcs[0])


def test_not_a_number_is_refused(arcs: tuple[np.ndarray, np.ndarray]) -> None:
    X = arcs[0].copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        SpectralClustering(2).fit(X)


def test_a_scale_of_zero_keeps_the_edges() -> None:
    graph = NeighborGraph(np.array([[1], [0], [0]]), np.array([[0.0], [0.0], [0.5]], dtype=np.float32), "cosine")
    affinity = neighbor_affinity(graph)
    assert affinity[0, 1] == 1
    assert np.isfinite(affinity.toarray()).all()
