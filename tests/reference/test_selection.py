"""The fast paths of the criteria against the plain ones."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import eigvalsh
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import make_blobs

from covey.cluster import KMeans
from covey.metrics import adjusted_rand_score, silhouette_score
from covey.objectives import coding_length
from covey.selection import CRITERIA, Sample
from covey.selection._row_sample import subsampled_kmeans


@pytest.fixture(scope="module")
def sample() -> Sample:
    X = make_blobs(240, 5, centers=5, cluster_std=2.0, random_state=3)[0].astype(np.float32)
    return Sample(X, None, seed=7, n_repeats=4)


def inertia(X: np.ndarray, labels: np.ndarray) -> float:
    return sum(float(np.square(X[labels == k] - X[labels == k].mean(axis=0)).sum()) for k in np.unique(labels))


@pytest.mark.parametrize("k", [2, 5, 17])
def test_partitions_are_as_good_as_those_of_the_estimators(sample: Sample, k: int) -> None:
    partitions = sample.partitions(k)
    for kept, labels in zip(*partitions, strict=True):
        rows = sample.X[kept]
        reference = SklearnKMeans(k, n_init=3, random_state=0).fit(rows).inertia_
        assert inertia(rows, labels[kept]) <= 1.05 * reference
        assert set(np.unique(labels[kept])) == set(range(k))
        means = np.stack([rows[labels[kept] == j].mean(axis=0) for j in range(k)])
        nearest = np.square(sample.X[:, None] - means).sum(axis=2).argmin(axis=1)
        assert (nearest == labels).mean() > 0.99  # the last means are one step younger than the labels


def test_rows_outside_do_not_count() -> None:
    X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    inside = torch.zeros(2, 60, dtype=torch.bool)
    inside[0, :50], inside[1, :40] = True, True
    labels = subsampled_kmeans(X, inside, 4, n_init=2, seed=1)
    far = X.clone()
    far[50:] += 1000.0
    moved = subsampled_kmeans(far, inside, 4, n_init=2, seed=1)
    assert torch.equal(labels[0, :50], moved[0, :50])
    assert torch.equal(labels[1, :40], moved[1, :40])


def test_another_clusterer_gives_rows_outside_the_nearest_mean(sample: Sample) -> None:
    own = Sample(sample.X, KMeans(n_init=2), seed=7, n_repeats=3)
    for kept, labels in zip(*own.partitions(4), strict=True):
        rows = own.X[kept]
        means = np.stack([rows[labels[kept] == j].mean(axis=0) for j in range(4)])
        nearest = np.square(own.X[~kept][:, None] - means).sum(axis=2).argmin(axis=1)
        assert (labels[~kept] == nearest).all()


def test_silhouettes_from_shared_distances_are_the_metric(sample: Sample) -> None:
    (row,) = CRITERIA["silhouette"](sample, [6])
    expected = [silhouette_score(sample.X[kept], part[kept]) for kept, part in zip(*sample.partitions(6), strict=True)]
    assert row.repeats == pytest.approx(expected, abs=1e-5)


def test_stability_is_the_mean_adjusted_rand_index(sample: Sample) -> None:
    (row,) = CRITERIA["stability"](sample, [6])
    inside, labels = sample.partitions(6)
    expected = [
        np.mean(
            [
                adjusted_rand_score(labels[i][inside[i] & inside[j]], labels[j][inside[i] & inside[j]])
                for j in range(4)
                if j != i
            ]
        )
        for i in range(4)
    ]
    assert row.repeats == pytest.approx(expected, abs=1e-12)


def test_coding_length_is_negated_a_row_and_relative_to_the_variance(sample: Sample) -> None:
    assert np.square(sample.X).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)
    (row,) = CRITERIA["coding_length"](sample, [6])
    kept, labels = (array[0] for array in sample.partitions(6))
    length = coding_length(torch.from_numpy(sample.X[kept]), torch.from_numpy(labels[kept]), has_means=True)
    assert row.repeats[0] == pytest.approx(-length.total / kept.sum(), rel=1e-9)


def test_held_out_length_is_that_of_shrunk_gaussians(sample: Sample) -> None:
    (row,) = CRITERIA["held_out_coding_length"](sample, [6])
    kept, labels = (array[0] for array in sample.partitions(6))
    X, d = sample.X.astype(np.float64), sample.X.shape[1]
    noise = 0.1 / d * np.eye(d)
    inside = X[kept]
    scatters = [np.cov(inside[labels[kept] == j].T, bias=True) * (labels[kept] == j).sum() for j in range(6)]
    within = sum(scatters) / kept.sum()
    total = 0.0
    for z, j in zip(X[~kept], labels[~kept], strict=True):
        n_j = (labels[kept] == j).sum()
        wide = (scatters[j] + d * within) / (n_j + d) + noise
        off = z - inside[labels[kept] == j].mean(axis=0)
        log_ratio = np.linalg.slogdet(wide)[1] - np.linalg.slogdet(noise)[1]
        total += (log_ratio + np.trace(np.linalg.solve(wide, noise)) + off @ np.linalg.solve(wide, off) - d) / 2
        total -= math.log(n_j / kept.sum())
    assert row.repeats[0] == pytest.approx(-total / (~kept).sum(), rel=1e-8)


def test_eigengap_is_that_of_the_dense_laplacian(sample: Sample) -> None:
    rows = sample.X[sample.paired_rows[sample.partitions(2).inside[0]]].astype(np.float64)
    n = len(rows)
    distances = np.square(rows[:, None] - rows).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    W = np.zeros((n, n))
    for i, nearest in enumerate(distances.argsort(axis=1)[:, : math.ceil(math.log(n))]):
        W[i, nearest] = W[nearest, i] = 1
    shrink = 1 / np.sqrt(W.sum(axis=1))
    values = eigvalsh(np.eye(n) - shrink[:, None] * W * shrink)
    assert sample.eigenvalues[0][:20] == pytest.approx(values[:20], abs=1e-5)
    (row,) = CRITERIA["eigengap"](sample, [5])
    assert row.repeats[0] == pytest.approx(values[5] - values[4], abs=1e-5)


def test_a_graph_in_pieces_has_its_gap_behind_them() -> None:
    X = np.concatenate([np.random.default_rng(i).normal(100 * i, 1, size=(40, 3)) for i in range(4)]).astype(np.float32)
    apart = Sample(X, None, seed=0)
    for values in apart.eigenvalues:
        assert values[:4] == pytest.approx(np.zeros(4), abs=1e-5)
    gaps = {row.n_clusters: row.score for row in CRITERIA["eigengap"](apart, range(2, 9))}
    assert max(gaps, key=gaps.__getitem__) == 4
