"""The estimators on top of other libraries: what covey adds to them."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from covey.cluster import HDBSCAN, Agglomerative, GaussianMixture, SinkhornSpectral, UMAPKMeans, _classical
from covey.cluster._classical import connect_parts, pair_distances
from covey.errors import MissingExtraError
from covey.neighbors import nearest_neighbors
from covey.objectives import doubly_stochastic, similarity_scores
from covey.types import NOISE


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(200, n_features=12, centers=5, cluster_std=1.5, center_box=(-5, 5), random_state=0)
    return X.astype(np.float32), y


@pytest.mark.parametrize("method", ["ward", "average", "complete"])
def test_all_pairs_merge_as_scipy_merges_unit_rows(blobs, method, monkeypatch) -> None:
    X, _ = blobs
    monkeypatch.setattr(_classical, "_BLOCK_ENTRIES", 2000)  # blocks of ten rows
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(pair_distances(unit, device="cpu"), pdist(unit), atol=1e-6)
    expected = fcluster(linkage(unit.astype(np.float64), method), 7, "maxclust")
    estimator = Agglomerative(7, linkage=method).fit(X)
    assert adjusted_rand_score(expected, estimator.labels_) == 1
    assert estimator.diagnostics_["last_merge"] < estimator.diagnostics_["next_merge"]


def test_too_many_rows_are_refused_with_both_ways_out(blobs) -> None:
    with pytest.raises(ValueError, match=r"200 rows, more than max_rows=100.*0\.0 GB.*n_neighbors.*max_rows"):
        Agglomerative(5, max_rows=100).fit(blobs[0])
    labels = Agglomerative(5, max_rows=100, n_neighbors=8).fit(blobs[0]).labels_
    assert adjusted_rand_score(blobs[1], labels) > 0.9


def test_a_graph_may_be_given_to_merge_along(blobs) -> None:
    X, _ = blobs
    graph = nearest_neighbors(X, n_neighbors=20)
    expected = Agglomerative(5, n_neighbors=8).fit(X).labels_
    np.testing.assert_array_equal(Agglomerative(5, n_neighbors=8).fit(X, neighbors=graph).labels_, expected)
    with pytest.raises(ValueError, match="neighbors has 200 rows, X has 100"):
        Agglomerative(5, n_neighbors=8).fit(X[:100], neighbors=graph)


def test_parts_are_tied_by_their_shortest_edges() -> None:
    angles = np.deg2rad([0, 1, 2, 30, 31, 80, 81])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    starts, ends, n_parts = connect_parts(rows, np.array([0, 1, 3, 5]), np.array([1, 2, 4, 6]), device="cpu")
    assert n_parts == 3
    added = {frozenset(edge) for edge in zip(starts[4:].tolist(), ends[4:].tolist(), strict=True)}
    assert added == {frozenset({2, 3}), frozenset({4, 5})}


@pytest.mark.parametrize("covariance", ["full", "tied", "diagonal", "spherical"])
def test_mixtures_find_blobs_with_any_covariance(blobs, covariance) -> None:
    X, y = blobs
    estimator = GaussianMixture(5, covariance=covariance, n_init=2, random_state=0).fit(X)
    assert adjusted_rand_score(y, estimator.labels_) > 0.9
    np.testing.assert_allclose(estimator.predict_proba(X), estimator.probabilities_, atol=1e-6)
    assert estimator.diagnostics_["n_dimensions"] == 12
    assert estimator.diagnostics_["explained_variance"] == pytest.approx(1)


def test_a_mixture_sees_principal_components_and_a_ridge_widens_it(blobs) -> None:
    X, _ = blobs
    few = GaussianMixture(5, n_dimensions=3, random_state=0).fit(X)
    assert few.diagnostics_["n_dimensions"] == 3
    assert 0.5 < few.diagnostics_["explained_variance"] < 1
    narrow = GaussianMixture(5, n_dimensions=3, ridge=0.001, random_state=0).fit(X)
    assert narrow.diagnostics_["mean_max_probability"] > few.diagnostics_["mean_max_probability"]


def test_a_mixture_may_look_at_lengths(rng) -> None:
    X = np.concatenate([rng.normal(1, 0.02, (40, 3)), rng.normal(5, 0.02, (40, 3))])
    y = np.arange(80) // 40
    assert adjusted_rand_score(y, GaussianMixture(2, normalize=False, random_state=0).fit(X).labels_) == 1


def test_a_mixture_that_did_not_converge_says_so(blobs) -> None:
    with pytest.warns(ConvergenceWarning, match="within 1 steps: raise max_iter"):
        GaussianMixture(5, max_iter=1, random_state=0).fit(blobs[0])


def test_hdbscan_leaves_out_what_fits_nowhere_or_assigns_it(blobs) -> None:
    X, y = blobs
    far = np.random.default_rng(1).normal(size=(12, 12)).astype(np.float32)
    rows = np.concatenate([X, far])
    kept = HDBSCAN(min_cluster_size=12).fit(rows)
    assert kept.n_clusters_ == 5
    assert (kept.labels_[200:] == NOISE).sum() >= 8
    assert (kept.predict(rows) == kept.labels_).all()
    assert kept.predict(far + 1e-4).min() == NOISE
    assigned = HDBSCAN(min_cluster_size=12, assign_noise=True).fit(rows)
    assert assigned.labels_.min() >= 0
    assert assigned.diagnostics_["n_noise"] == (kept.labels_ == NOISE).sum()
    inside = kept.labels_ != NOISE
    np.testing.assert_array_equal(assigned.labels_[inside], kept.labels_[inside])
    assert adjusted_rand_score(y, assigned.labels_[:200]) > 0.9


def test_hdbscans_smallest_cluster_is_a_hundredth_of_the_rows() -> None:
    X = np.random.default_rng(0).normal(size=(900, 3))
    with pytest.warns(ConvergenceWarning, match="lower min_cluster_size"):
        nothing = HDBSCAN(min_cluster_size=450).fit(X)
    assert (nothing.labels_ == NOISE).all()
    assert HDBSCAN().fit(X).diagnostics_["min_cluster_size"] == 9


def test_sinkhorn_spectral_with_all_rows_is_the_dense_answer(blobs) -> None:
    X, _ = blobs
    estimator = SinkhornSpectral(5, gamma=0.1, random_state=0).fit(X)
    centred = torch.from_numpy(X - X.mean(axis=0)).double()
    unit = torch.nn.functional.normalize(centred, dim=1)
    membership = doubly_stochastic(similarity_scores(unit, gamma=0.1), n_half_steps=5).numpy()
    _, vectors = np.linalg.eigh(membership @ membership.T)
    from sklearn.cluster import KMeans

    top = vectors[:, -5:] / np.linalg.norm(vectors[:, -5:], axis=1, keepdims=True)
    expected = KMeans(5, n_init=10, random_state=0).fit_predict(top)
    assert adjusted_rand_score(expected, estimator.labels_) > 0.98
    assert estimator.diagnostics_["n_landmarks"] == 200


def test_centring_and_landmarks_matter(blobs) -> None:
    X, y = blobs
    shifted = X + 30  # a narrow cone: all cosines near 1
    assert adjusted_rand_score(y, SinkhornSpectral(5, n_landmarks=60, random_state=0).fit(shifted).labels_) > 0.9
    plain = SinkhornSpectral.from_preset("cpp-paper", n_clusters=5, random_state=0)
    assert not plain.center
    with pytest.warns(ConvergenceWarning, match="hardly surer than guesses|clusters are empty"):
        plain.fit(X + 3000)


def test_umap_that_is_missing_is_named(blobs, monkeypatch) -> None:
    def missing(module: str, *, extra: str, for_: str) -> None:
        raise MissingExtraError(f"{for_} needs {module}: pip install 'covey[{extra}]'")

    monkeypatch.setattr(_classical, "require", missing)
    with pytest.raises(MissingExtraError, match=r"umap-kmeans.*covey\[umap\]"):
        UMAPKMeans(5).fit(blobs[0])


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (GaussianMixture, {"covariance": "diag"}, "covariance is 'diag'"),
        (GaussianMixture, {"ridge": 0.0}, "ridge is 0"),
        (GaussianMixture, {"n_dimensions": 0}, "n_dimensions is 0"),
        (Agglomerative, {"linkage": "single"}, "linkage is 'single'"),
        (Agglomerative, {"n_neighbors": 0}, "n_neighbors is 0"),
        (HDBSCAN, {"min_cluster_size": 1}, "min_cluster_size is 1"),
        (HDBSCAN, {"selection": "all"}, "selection is 'all'"),
        (SinkhornSpectral, {"gamma": 0.0}, "gamma is 0"),
        (SinkhornSpectral, {"n_half_steps": 2}, "n_half_steps"),
        (UMAPKMeans, {"n_neighbors": 1}, "n_neighbors is 1"),
        (UMAPKMeans, {"min_dist": 2.0}, "min_dist is 2"),
    ],
)
def test_wrong_parameters_are_named(method, changes, message, blobs) -> None:
    with pytest.raises(ValueError, match=message):
        method(**changes).fit(blobs[0])
