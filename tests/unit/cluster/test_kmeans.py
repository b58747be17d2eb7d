import re
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.decomposition
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from covey.cluster import KMeans
from covey.cluster._kmeans import kmeans, plus_plus, restart_seeds
from covey.cluster._lloyd import Assignment, Points, _fill_empty, cluster_sums, lloyd
from covey.metrics import adjusted_rand_score


@pytest.fixture
def blobs(rng: np.random.Generator) -> np.ndarray:
    centers = 8 * rng.normal(size=(5, 12))
    return (centers[np.arange(300) % 5] + rng.normal(size=(300, 12))).astype(np.float32)


def test_attributes_have_the_promised_form(blobs: np.ndarray) -> None:
    model = KMeans(5, random_state=0).fit(blobs)
    assert model.cluster_centers_.shape == (5, 12)
    assert model.cluster_centers_.dtype == np.float32
    assert type(model.inertia_) is float
    assert 1 <= model.n_iter_ <= 300
    assert model.n_features_in_ == 12
    assert model.diagnostics_["converged"] is True
    assert len(model.diagnostics_["inertia_of_restarts"]) == 10
    assert model.diagnostics_["inertia"] == model.inertia_


def test_inertia_is_what_it_says(blobs: np.ndarray) -> None:
    model = KMeans(7, max_iter=2, n_init=1, random_state=0).fit(blobs)
    differences = blobs.astype(np.float64) - model.cluster_centers_[model.labels_]
    assert model.inertia_ == pytest.approx((differences**2).sum(), rel=1e-12)
    assert (((blobs[:, None].astype(np.float64) - model.cluster_centers_) ** 2).sum(2).argmin(1) == model.labels_).all()


def test_converged_centers_are_the_means(blobs: np.ndarray) -> None:
    model = KMeans(5, tol=0, random_state=0).fit(blobs)
    means = [blobs[model.labels_ == label].mean(axis=0, dtype=np.float64) for label in range(5)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5, atol=1e-5)


def test_more_restarts_are_never_worse(blobs: np.ndarray) -> None:
    one, ten = (KMeans(20, n_init=n_init, random_state=3).fit(blobs) for n_init in (1, 10))
    assert ten.inertia_ <= one.inertia_
    assert ten.inertia_ == pytest.approx(min(ten.diagnostics_["inertia_of_restarts"]), rel=1e-5)


def test_max_iter_and_tol_end_the_iterations(blobs: np.ndarray) -> None:
    short = KMeans(20, n_init=1, max_iter=1, tol=0, random_state=0).fit(blobs)
    assert short.n_iter_ == 1
    assert short.diagnostics_["converged"] is False
    loose = KMeans(20, n_init=1, tol=1.0, random_state=0).fit(blobs)
    tight = KMeans(20, n_init=1, tol=0, random_state=0).fit(blobs)
    assert loose.n_iter_ < tight.n_iter_
    assert loose.inertia_ >= tight.inertia_


def test_transform_gives_distances_whose_smallest_is_the_label(blobs: np.ndarray) -> None:
    model = KMeans(5, random_state=0).fit(blobs)
    distances = model.transform(blobs)
    expected = np.linalg.norm(blobs[:, None].astype(np.float64) - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert distances.dtype == np.float32
    assert (distances.argmin(axis=1) == model.labels_).all()
    assert model.get_feature_names_out().tolist() == [f"kmeans{i}" for i in range(5)]


def test_as_many_clusters_as_rows(blobs: np.ndarray) -> None:
    model = KMeans(40, random_state=0).fit(blobs[:40])
    assert model.inertia_ == pytest.approx(0, abs=1e-9)
    assert sorted(model.labels_) == list(range(40))


def test_equal_rows_give_fewer_clusters_and_a_warning() -> None:
    X = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="3 distinct clusters were found, fewer than n_clusters=6"):
        model = KMeans(6, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(0, abs=1e-9)
    assert (model.predict(X) == model.labels_).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KMeans(3, random_state=0).fit(X)


def test_a_far_away_origin_changes_nothing(blobs: np.ndarray) -> None:
    here = KMeans(5, random_state=0).fit(np.round(blobs * 64) / 64)
    there = KMeans(5, random_state=0).fit(np.round(blobs * 64) / 64 + 4096)
    assert adjusted_rand_score(here.labels_, there.labels_) == 1
    assert there.inertia_ == pytest.approx(here.inertia_, rel=1e-4)


def test_spherical_clusters_directions(rng: np.random.Generator) -> None:
    directions = np.eye(6)[np.arange(240) % 6] + 0.1 * rng.normal(size=(240, 6))
    X = directions * rng.lognormal(sigma=2, size=(240, 1))
    model = KMeans(6, spherical=True, random_state=0).fit(X)
    assert adjusted_rand_score(np.arange(240) % 6, model.labels_) == 1
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_, axis=1), 1, rtol=1e-6)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosine_distances = 1 - (unit * model.cluster_centers_[model.labels_]).sum(axis=1)
    assert model.inertia_ == pytest.approx(2 * cosine_distances.sum(), rel=1e-5)
    np.testing.assert_array_equal(model.predict(X * 1000), model.labels_)
    np.testing.assert_allclose(model.transform(X), model.transform(unit), atol=1e-5)


def test_spherical_takes_zero_rows_and_opposite_ones() -> None:
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    model = KMeans(1, spherical=True, random_state=0).fit(X)  # the mean has no direction
    assert np.isfinite(model.cluster_centers_).all()
    assert (model.labels_ == 0).all()
    assert len(set(KMeans(2, spherical=True, random_state=0).fit(X).labels_[:2])) == 2


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"n_init": 0}, ValueError, "n_init is 0; it must be at least 1"),
        ({"n_init": "auto"}, TypeError, "n_init is 'auto'"),
        ({"max_iter": 0}, ValueError, "max_iter is 0"),
        ({"n_components": 0}, ValueError, "n_components is 0; it must be at least 1, or None"),
        ({"standardize": "yes"}, TypeError, "standardize is 'yes'; it must be True or False"),
        ({"tol": -1.0}, ValueError, "tol is -1.0; it must lie in [0, inf]"),
        ({"precision": "half"}, ValueError, "precision is 'half'"),
        ({"device": "tpu"}, ValueError, "Unknown device 'tpu'"),
        ({"random_state": "x"}, ValueError, "random_state is 'x'"),
    ],
)
def test_says_what_is_wrong(blobs: np.ndarray, keywords: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        KMeans(5, **keywords).fit(np.tile(blobs, (1, 10)))


def test_predict_needs_a_fit_and_the_same_width(blobs: np.ndarray) -> None:
    with pytest.raises(NotFittedError):
        KMeans().predict(blobs)
    with pytest.raises(ValueError, match="12 features"):
        KMeans(2).fit(blobs).predict(blobs[:, :5])


def test_an_empty_cluster_takes_the_farthest_row() -> None:
    rows = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    centers = torch.tensor([[0.0], [1000.0]])
    labels = torch.tensor([0, 0, 0, 0])
    sums, counts = cluster_sums(rows, labels, 2)
    nearest, sums, counts = _fill_empty(rows, centers, Assignment(labels, torch.ones(4)), sums, counts)
    assert nearest.labels.tolist() == [0, 0, 0, 1]
    assert sums.tolist() == [[3.0], [50.0]]
    assert counts.tolist() == [3, 1]
    assert (nearest.slack <= 0).all()  # nothing is known any more


def test_lloyd_recovers_from_starts_that_nobody_is_near() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0], [11.0], [20.0], [21.0]])
    starts = torch.tensor([[0.0], [500.0], [600.0]])
    fit = lloyd(
        Points.prepare(rows, torch.float32),
        starts,
        torch.zeros(6, dtype=torch.int64),
        None,
        max_iter=100,
        tolerance=0.0,
    )
    assert sorted(torch.bincount(fit.nearest.labels).tolist()) == [1, 1, 4]  # the farthest two, one by one
    assert fit.converged


def test_sums_in_blocks_are_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = torch.randn(100, 3), torch.arange(100) % 7
    expected = torch.zeros(9, 3, dtype=torch.float64).index_add_(0, labels, rows.double())
    monkeypatch.setattr("covey.cluster._lloyd._CHUNK_ROWS", 11)
    sums, counts = cluster_sums(rows, labels, 9)
    torch.testing.assert_close(sums, expected, rtol=1e-6, atol=1e-6)
    assert counts.tolist() == torch.bincount(labels, minlength=9).tolist()


@pytest.fixture(params=[2**22, 0], ids=["one step at a time", "four steps ahead"])
def cached_entries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return from how many features on starts are drawn four steps ahead."""
    monkeypatch.setattr("covey.cluster._kmeans._CACHED_ENTRIES", request.param)
    return int(request.param)


@pytest.mark.usefixtures("cached_entries")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [3, 200])
def test_starts_cover_far_groups_and_equal_rows_are_drawn_once(width: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    groups = 100 * torch.randn(12, width, generator=generator)
    rows = groups.repeat(30, 1)
    starts = plus_plus(Points.prepare(rows - rows.mean(dim=0), dtype), 12, list(range(8)))
    assert starts.indices.shape == (8, 12)
    for indices, labels in zip(*starts, strict=True):
        assert sorted((indices % 12).tolist()) == list(range(12))
        assert torch.equal(indices[labels] % 12, torch.arange(360) % 12)  # the nearest start is its own group's


@pytest.mark.usefixtures("cached_entries")
def test_groups_that_bfloat16_cannot_tell_apart_are_drawn_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = 100 * torch.randn(6, 50, generator=generator).repeat_interleave(2, dim=0)
    rows = pairs + 0.5 * torch.randn(12, 50, generator=generator)
    points = Points.prepare(rows - rows.mean(dim=0), torch.bfloat16)
    for start in plus_plus(points, 12, [0, 1]).indices:
        assert sorted(start.tolist()) == list(range(12))


@pytest.mark.usefixtures("cached_entries")
def test_starts_depend_on_the_seed_alone(blobs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    points = Points.prepare(torch.from_numpy(blobs - blobs.mean(axis=0)), torch.float32)
    together = plus_plus(points, 6, [1, 2, 3]).indices
    monkeypatch.setattr("covey.cluster._kmeans._TRIAL_ENTRIES", 1)  # one restart a batch
    assert torch.equal(plus_plus(points, 6, [1, 2, 3]).indices, together)
    assert torch.equal(plus_plus(points, 6, [1]).indices[0], together[0])
    assert not torch.equal(together[0], together[1])


@pytest.mark.usefixtures("cached_entries")
def test_starts_are_drawn_inside_and_cover_what_is_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = 100 * torch.randn(12, 5, generator=generator)
    rows = groups.repeat(30, 1)
    inside = torch.zeros(4, 360, dtype=torch.bool)
    inside[0, :120], inside[1, 120:], inside[2:, torch.arange(360) % 12 < 6] = True, True, True
    points = Points.prepare(rows - rows.mean(dim=0), torch.float32)
    drawn = plus_plus(points, 6, [1, 2, 3, 4], inside).indices
    assert inside.gather(1, drawn).all()
    assert all(len(set((row % 12).tolist())) == 6 for row in drawn)
    everything = plus_plus(points, 6, [1, 2], torch.ones(2, 360, dtype=torch.bool)).indices
    assert torch.equal(everything, plus_plus(points, 6, [1, 2]).indices)


@pytest.mark.usefixtures("cached_entries")
def test_starts_inside_equal_rows_stay_inside() -> None:
    rows = torch.zeros(50, 3)
    inside = torch.zeros(1, 50, dtype=torch.bool)
    inside[0, 20:30] = True
    drawn = plus_plus(Points.prepare(rows, torch.float32), 8, [5], inside).indices
    assert inside.gather(1, drawn).all()


def test_the_estimator_is_the_best_of_the_functions_restarts(blobs: np.ndarray) -> None:
    model = KMeans(7, n_init=4, random_state=5).fit(blobs)
    solutions = kmeans(torch.from_numpy(blobs), 7, restart_seeds(5, 4))
    assert [solution.inertia for solution in solutions] == model.diagnostics_["inertia_of_restarts"]
    best = min(solutions, key=lambda solution: solution.inertia)
    np.testing.assert_array_equal(best.labels.numpy(), model.labels_)
    np.testing.assert_array_equal(best.centers.numpy(), model.cluster_centers_)
    assert (best.n_iter, best.converged) == (model.n_iter_, model.diagnostics_["converged"])


def test_progress_counts_restarts(blobs: np.ndarray) -> None:
    seen: list[tuple[str, int, int | None]] = []
    KMeans(5, n_init=3, random_state=0).fit(blobs, progress=lambda *step: seen.append(step))
    assert seen == [("restart", 1, 3), ("restart", 2, 3), ("restart", 3, 3)]


def test_score_is_minus_the_inertia_of_any_rows(blobs: np.ndarray) -> None:
    model = KMeans(5, random_state=0).fit(blobs[:200])
    assert model.score(blobs[:200]) == -model.inertia_
    squares = ((blobs[200:, None].astype(np.float64) - model.cluster_centers_) ** 2).sum(axis=2)
    assert model.score(blobs[200:]) == pytest.approx(-squares.min(axis=1).sum(), rel=1e-12)


@pytest.mark.parametrize("spherical", [False, True])
def test_standardize_makes_scales_and_shifts_of_features_irrelevant(
    blobs: np.ndarray, rng: np.random.Generator, spherical: bool
) -> None:
    constant = np.hstack([blobs, np.full((300, 1), 7.0)]).astype(np.float32)
    distorted = (constant * 2.0 ** rng.integers(-8, 9, 13) + rng.integers(-3, 4, 13)).astype(np.float32)
    one, other = (
        KMeans(5, standardize=True, spherical=spherical, random_state=0).fit(X) for X in (constant, distorted)
    )
    assert adjusted_rand_score(one.labels_, other.labels_) == 1
    scores = (constant - constant.mean(axis=0)) / np.where(constant.std(axis=0) > 0, constant.std(axis=0), 1)
    if not spherical:
        expected = KMeans(5, random_state=0).fit(scores)
        assert adjusted_rand_score(one.labels_, expected.labels_) == 1
        distances = np.sort(one.transform(constant), axis=1)
        np.testing.assert_allclose(distances, np.sort(expected.transform(scores), axis=1), rtol=1e-4)
        assert one.inertia_ == pytest.approx(expected.inertia_, rel=1e-5)
    assert adjusted_rand_score(KMeans(5, random_state=0).fit(distorted).labels_, one.labels_) < 1
    assert np.isfinite(one.cluster_centers_).all()


@pytest.mark.parametrize("standardize", [False, True])
def test_components_are_those_of_pca(blobs: np.ndarray, standardize: bool) -> None:
    model = KMeans(5, standardize=standardize, n_components=3, random_state=0).fit(blobs)
    X = (blobs - blobs.mean(axis=0)) / (blobs.std(axis=0) if standardize else 1)
    reduced = sklearn.decomposition.PCA(3).fit_transform(X.astype(np.float64))
    expected = KMeans(5, random_state=0).fit(reduced)
    assert model.cluster_centers_.shape == (5, 3)
    assert model.inertia_ == pytest.approx(expected.inertia_, rel=1e-5)
    assert adjusted_rand_score(model.labels_, expected.labels_) == 1
    np.testing.assert_array_equal(model.predict(blobs), model.labels_)
    one_by_one = np.concatenate([model.predict(blobs[i : i + 1]) for i in range(300)])
    np.testing.assert_array_equal(one_by_one, model.labels_)
    many = KMeans(5, n_components=500, random_state=0).fit(blobs)  # no more than there are
    assert many.cluster_centers_.shape == (5, 12)


def test_one_row_has_no_components() -> None:
    model = KMeans(1, standardize=True, n_components=2, random_state=0).fit([[1.0, 2.0, 3.0]])
    assert model.labels_.tolist() == model.predict([[4.0, 5.0, 6.0]]).tolist() == [0]


def test_rows_beyond_float32_are_refused_in_fit_and_predict(blobs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="squared distances fit into float32"):
        KMeans(2).fit(blobs * np.float32(1e25))
    with pytest.raises(ValueError, match="squared distances fit into float32"):
        KMeans(2).fit(blobs).predict(blobs * np.float32(1e25))


def test_trials_of_later_steps_are_drawn_by_the_distances_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """One trial a step: how often each row comes third is its share of D² after two, drawn ahead or not."""
    monkeypatch.setattr("covey.cluster._kmeans._count_trials", lambda _: 1)
    rows = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0]])
    points = Points.prepare(rows - rows.mean(), torch.float32)
    squares = (rows - rows.T).square().double()
    expected = torch.zeros(5, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            third = torch.minimum(squares[i], squares[j])
            if i != j:
                expected += third / third.sum() * squares[i, j] / squares[i].sum() / 5
    for cached_entries in (2**22, 0):
        monkeypatch.setattr("covey.cluster._kmeans._CACHED_ENTRIES", cached_entries)
        drawn = plus_plus(points, 3, list(range(20_000))).indices[:, 2]
        found = torch.bincount(drawn, minlength=5) / 20_000
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=4 * 0.5 / 20_000**0.5)
