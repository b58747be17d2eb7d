"""k-means against naive twins in float64, and against scikit-learn's inertia."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.cluster
import torch
from safetensors.numpy import load_file
from sklearn.datasets import load_digits, make_blobs

from covey.cluster import KMeans
from covey.cluster._kmeans import plus_plus
from covey.cluster._lloyd import Assignment, Points, assign, lloyd, nearest_center

DTYPES = [torch.float32, torch.bfloat16]


def naive_distances(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return np.sqrt(((rows[:, None].astype(np.float64) - centers.astype(np.float64)) ** 2).sum(axis=2))


def naive_lloyd(rows: np.ndarray, centers: np.ndarray, n_iter: int, *, spherical: bool = False) -> np.ndarray:
    """Lloyd's algorithm from the definition; returns the labels after `n_iter` updates."""
    labels = naive_distances(rows, centers).argmin(axis=1)
    for _ in range(n_iter):
        centers = np.stack([rows[labels == j].mean(axis=0) for j in range(len(centers))])
        if spherical:
            centers /= np.linalg.norm(centers, axis=1, keepdims=True)
        labels = naive_distances(rows, centers).argmin(axis=1)
    return labels


def guess(n: int) -> torch.Tensor:
    return torch.zeros(n, dtype=torch.int64)


def gaussian_rows(n: int = 600, d: int = 30, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return rows - rows.mean(dim=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_iter", [1, 3, 12])
def test_lloyd_is_its_naive_twin(dtype: torch.dtype, n_iter: int) -> None:
    """Pure noise: the margins are as small as they get, so quick products have much to leave to slower ones."""
    rows = gaussian_rows()
    fit = lloyd(Points.prepare(rows, dtype), rows[:20], guess(600), None, max_iter=n_iter, tolerance=0.0)
    expected = naive_lloyd(rows.double().numpy(), rows[:20].double().numpy(), n_iter)
    np.testing.assert_array_equal(fit.nearest.labels.numpy(), expected)
    exact = ((rows.double() - fit.centers.double()[fit.nearest.labels]) ** 2).sum()
    assert fit.inertia == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_spherical_lloyd_is_its_naive_twin(dtype: torch.dtype) -> None:
    unit = torch.nn.functional.normalize(gaussian_rows() + 0.5, dim=1)
    mean = unit.mean(dim=0)
    fit = lloyd(Points.prepare(unit - mean, dtype), unit[:20] - mean, guess(600), -mean, max_iter=8, tolerance=0.0)
    expected = naive_lloyd(unit.double().numpy(), unit[:20].double().numpy(), 8, spherical=True)
    np.testing.assert_array_equal(fit.nearest.labels.numpy(), expected)
    np.testing.assert_allclose((fit.centers + mean).norm(dim=1).numpy(), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("n_centers", [1, 2, 50])
def test_assigned_is_nearest_and_slack_is_a_lower_bound(dtype: torch.dtype, scale: float, n_centers: int) -> None:
    rows, centers = scale * gaussian_rows(), scale * gaussian_rows(n_centers, seed=1)
    points = Points.prepare(rows, dtype)
    distances = naive_distances(rows.numpy(), centers.numpy())
    nearest = assign(points, centers, Assignment(guess(len(rows)), torch.zeros(len(rows))))
    np.testing.assert_array_equal(nearest.labels.numpy(), distances.argmin(axis=1))
    if n_centers > 1:
        two = np.sort(distances, axis=1)[:, :2]
        gap = two[:, 1] - two[:, 0]
        assert (nearest.slack.numpy() <= gap + 1e-6 * scale).all()
        if dtype == torch.float32:
            assert (nearest.slack.numpy() >= 0.4 * gap - 1e-5 * scale).mean() > 0.99  # and not an idle one

    # After a move, what is known still is a bound, and the labels that follow from it are right.
    moved = centers + 0.05 * scale * gaussian_rows(n_centers, seed=2)
    known = nearest.after((moved - centers).norm(dim=1))
    distances = naive_distances(rows.numpy(), moved.numpy())
    sure = known.slack.numpy() > 0
    np.testing.assert_array_equal(known.labels.numpy()[sure], distances.argmin(axis=1)[sure])
    np.testing.assert_array_equal(assign(points, moved, known).labels.numpy(), distances.argmin(axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_equal_distances_the_lower_index_wins(dtype: torch.dtype) -> None:
    grid = torch.cartesian_prod(torch.arange(-6.0, 7), torch.arange(-6.0, 7))
    centers = torch.tensor([[2.0, 2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, -2.0], [2.0, 2.0]])
    points = Points.prepare(grid, dtype)
    expected = naive_distances(grid.numpy(), centers.numpy()).argmin(axis=1)
    for label in range(5):
        before = Assignment(torch.full((len(grid),), label), torch.zeros(len(grid)))
        np.testing.assert_array_equal(assign(points, centers, before).labels.numpy(), expected)
    np.testing.assert_array_equal(nearest_center(grid, centers).labels.numpy(), expected)


@pytest.mark.parametrize("cached_entries", [2**22, 0], ids=["one step at a time", "four steps ahead"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_starts_leave_as_little_as_scikit_learns(
    dtype: torch.dtype, cached_entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covey.cluster._kmeans._CACHED_ENTRIES", cached_entries)
    X, _ = make_blobs(2000, 200, centers=30, cluster_std=3.0, random_state=0)
    rows = torch.from_numpy((X - X.mean(axis=0)).astype(np.float32))
    theirs = [sklearn.cluster.kmeans_plusplus(X, 30, random_state=seed)[1] for seed in range(20)]
    ours = plus_plus(Points.prepare(rows, dtype), 30, list(range(20))).indices
    left = [
        np.mean([float(torch.cdist(rows, rows[start]).amin(dim=1).square().sum()) for start in starts])
        for starts in (theirs, ours)
    ]
    assert left[1] == pytest.approx(left[0], rel=0.03)


@pytest.fixture(params=["digits", "blobs", "moco", "usps"])
def real_set(request: pytest.FixtureRequest, data_file: Callable[[str], Path]) -> tuple[np.ndarray, int]:
    if request.param == "digits":
        return load_digits().data, 10
    if request.param == "blobs":
        return make_blobs(3000, 20, centers=30, random_state=0)[0], 30
    if request.param == "moco":
        return load_file(data_file("moco-imagenet50-val.safetensors"))["X"], 50
    return load_file(data_file("umap-usps.safetensors"))["X"], 10


@pytest.mark.slow
def test_inertia_is_scikit_learns_within_a_thousandth(real_set: tuple[np.ndarray, int]) -> None:
    X, n_clusters = real_set
    ours = [KMeans(n_clusters, random_state=seed).fit(X).inertia_ for seed in range(5)]
    theirs = [sklearn.cluster.KMeans(n_clusters, n_init=10, random_state=s).fit(X).inertia_ for s in range(5)]
    assert np.mean(ours) <= np.mean(theirs) * 1.001
    assert min(ours) <= min(theirs) * 1.0015


def test_inertia_is_scikit_learns_on_digits() -> None:
    X = load_digits().data
    ours = KMeans(10, random_state=0).fit(X).inertia_
    assert ours <= sklearn.cluster.KMeans(10, n_init=10, random_state=0).fit(X).inertia_ * 1.001
