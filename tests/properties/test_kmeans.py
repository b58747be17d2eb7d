import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.cluster import KMeans, _lloyd
from covey.cluster._lloyd import Points, lloyd

seeds = st.integers(0, 2**31)


def rows_of(seed: int, n: int = 120, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 12))
def test_precision_does_not_change_what_follows_from_a_start(seed: int, n_clusters: int) -> None:
    X = rows_of(seed, d=20)
    rows = torch.from_numpy(X - X.mean(axis=0))
    guess = torch.zeros(len(rows), dtype=torch.int64)
    one, other = (
        lloyd(Points.prepare(rows, dtype), rows[:n_clusters], guess, None, max_iter=300, tolerance=0.0)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert torch.equal(one.nearest.labels, other.nearest.labels)
    assert torch.equal(one.centers, other.centers)
    assert (one.inertia, one.n_iter) == (other.inertia, other.n_iter)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_chunked_is_whole(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    X = rows_of(0, n=500)
    whole = KMeans(7, n_init=2, precision=precision, random_state=0).fit(X)
    monkeypatch.setattr(_lloyd, "_TILE_ENTRIES", 50)
    monkeypatch.setattr("covey.cluster._kmeans._TILE_ENTRIES", 50)
    chunked = KMeans(7, n_init=2, precision=precision, random_state=0).fit(X)
    np.testing.assert_array_equal(chunked.labels_, whole.labels_)
    assert chunked.inertia_ == whole.inertia_


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 10), st.booleans())
def test_predict_is_labels_and_labels_are_nearest(seed: int, n_clusters: int, spherical: bool) -> None:
    X = np.round(rows_of(seed) * 2)  # a grid, with many equal distances and equal rows
    model = KMeans(n_clusters, n_init=1, spherical=spherical, random_state=seed).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    distances = model.transform(X)
    own = distances[np.arange(len(X)), model.labels_]
    assert (own <= distances.min(axis=1) + 1e-5).all()


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([2.0**-10, 8.0, 2.0**12]))
def test_scale_does_not_change_labels(seed: int, scale: float) -> None:
    X = rows_of(seed)
    one = KMeans(5, n_init=1, random_state=seed).fit(X)
    other = KMeans(5, n_init=1, random_state=seed).fit(X * np.float32(scale))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    assert other.inertia_ == pytest.approx(one.inertia_ * scale**2, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_iterations_never_raise_inertia(seed: int) -> None:
    X = rows_of(seed)
    inertias = [KMeans(8, n_init=1, tol=0, max_iter=m, random_state=seed).fit(X).inertia_ for m in (1, 2, 4, 8, 300)]
    assert (np.diff(inertias) <= 1e-6 * inertias[0]).all()


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(0, 30))
def test_equal_rows_share_a_cluster(seed: int, n_clusters: int, n_more: int) -> None:
    X = rows_of(seed, n=20)
    twins = np.vstack([X, X[np.arange(n_more) % 20]])
    labels = KMeans(n_clusters, n_init=1, random_state=seed).fit(twins).labels_
    np.testing.assert_array_equal(labels[20:], labels[np.arange(n_more) % 20])
