import numpy as np
import pytest

from covey import metrics
from covey.metrics import _internal


def test_size_kl_is_zero_for_equal_sizes_and_log_k_for_one() -> None:
    assert metrics.cluster_size_kl([0, 1, 2, 0, 1, 2]) == 0
    assert metrics.cluster_size_kl([3, 3, 3], n_clusters=10) == pytest.approx(np.log(10))


def test_size_kl_without_n_clusters_ignores_unused_labels_and_noise() -> None:
    assert metrics.cluster_size_kl([0, 5, -1]) == 0
    assert metrics.cluster_size_kl([0, 5, -1], n_clusters=8) == pytest.approx(np.log(4))


def test_size_kl_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="n_clusters is 2"):
        metrics.cluster_size_kl([0, 5], n_clusters=2)
    with pytest.raises(ValueError, match="only noise"):
        metrics.cluster_size_kl([-1, -1])


@pytest.mark.parametrize("probabilities", [[[0.5, 0.4]], [[np.nan, 1.0]], [[-0.5, 1.5]], [0.5, 0.5], np.zeros((0, 3))])
def test_mean_max_probability_wants_distributions(probabilities: object) -> None:
    with pytest.raises(ValueError, match="probabilities has"):
        metrics.mean_max_probability(probabilities)


def test_silhouette_of_a_row_alone_is_zero_and_duplicates_do_not_divide_by_zero() -> None:
    X = np.array([[0.0], [0.0], [5.0], [0.0]])
    assert metrics.silhouette_samples(X, [0, 0, 1, 1]).tolist() == [1, 1, 0, -1]
    assert metrics.silhouette_samples(X, [0, 0, 1, 0]).tolist() == [1, 1, 0, 1]
    assert metrics.silhouette_samples(np.ones((4, 2)), [0, 0, 1, 1]).tolist() == [0, 0, 0, 0]


def test_silhouette_of_clusters_of_one_row_is_zero() -> None:
    assert metrics.silhouette_samples(np.eye(3), [0, 1, 2]).tolist() == [0, 0, 0]


def test_silhouette_takes_distances() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    distances = np.linalg.norm(X[:, None] - X, axis=2)
    from_distances = metrics.silhouette_samples(distances, labels, metric="precomputed")
    np.testing.assert_allclose(from_distances, metrics.silhouette_samples(X, labels), atol=1e-6)


def test_silhouette_in_chunks_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(97, 5)) + 100, rng.integers(0, 4, 97)
    whole = metrics.silhouette_samples(X, labels)
    monkeypatch.setattr(_internal, "_WORKING_MEMORY_MIB", 0.01)  # 13 rows at once
    np.testing.assert_allclose(metrics.silhouette_samples(X, labels), whole, atol=1e-12)


def test_silhouette_score_samples_the_same_rows_each_time() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(500, 3)), rng.integers(0, 3, 500)
    few = [metrics.silhouette_score(X, labels, max_rows=60) for _ in range(2)]
    assert few[0] == few[1]
    assert few[0] != metrics.silhouette_score(X, labels, max_rows=60, random_state=1)
    assert metrics.silhouette_score(X, labels, max_rows=None) == metrics.silhouette_samples(X, labels).mean()


def test_silhouette_score_leaves_noise_out() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(50, 3)), rng.integers(-1, 3, 50)
    kept = labels >= 0
    assert metrics.silhouette_score(X, labels) == metrics.silhouette_score(X[kept], labels[kept])
    with pytest.raises(ValueError, match="noise"):
        metrics.silhouette_samples(X, labels)


def test_silhouette_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="at least two"):
        metrics.silhouette_samples(np.ones((3, 2)), [0, 0, 0])
    with pytest.raises(ValueError, match="labels_pred has 2 rows, X has 3"):
        metrics.silhouette_score(np.ones((3, 2)), [0, 1])
    with pytest.raises(ValueError, match="NaN"):
        metrics.silhouette_score([[np.nan], [1.0]], [0, 1])
