"""Certainty: calibrated on neighbors, on one scale for all methods."""

import numpy as np
import pytest

from covey.certainty import Certainty, calibrate_certainty, describe_certainty, word_for
from covey.types import FloatArray, IntArray


def blobs(n_each: int, spread: float, *, k: int = 5, d: int = 40, seed: int = 0) -> tuple[FloatArray, IntArray]:
    draw = np.random.default_rng(seed)
    X = np.repeat(np.eye(k, d), n_each, axis=0) + spread * draw.normal(size=(k * n_each, d))
    return X.astype(np.float32), np.repeat(np.arange(k), n_each)


def neighbor_agreement(X: FloatArray, labels: IntArray, n_neighbors: int = 10) -> FloatArray:
    """Return the share of the nearest neighbors with the row's own label, of all rows, by sorting."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, :n_neighbors]
    return (labels[nearest] == labels[:, None]).mean(axis=1)


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.5])
def test_the_mean_certainty_is_the_share_of_neighbors_in_the_same_cluster(spread: float) -> None:
    X, labels = blobs(150, spread)
    certainty = calibrate_certainty(X, labels)
    assert certainty.values.mean() == pytest.approx(neighbor_agreement(X, labels).mean(), abs=0.08)


def test_it_says_of_groups_of_images_how_many_neighbors_agree() -> None:
    X, labels = blobs(300, 0.35)
    values, agreement = calibrate_certainty(X, labels).values, neighbor_agreement(X, labels)
    thirds = np.array_split(np.argsort(values), 3)
    assert [agreement[rows].mean() for rows in thirds] == pytest.approx(
        [values[rows].mean() for rows in thirds], abs=0.12
    )


def test_distances_and_probabilities_give_one_scale() -> None:
    """Probabilities that are far too sure, and far too unsure, say after calibration what distances say."""
    X, labels = blobs(200, 0.4)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = np.stack([unit[labels == label].mean(axis=0) for label in range(5)])
    squared = ((unit[:, None] - means) ** 2).sum(axis=2)
    expected = calibrate_certainty(X, labels).values
    for scale in (0.5, 20.0):
        powers = np.exp(-scale * (squared - squared.min(axis=1, keepdims=True)))
        probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        found = calibrate_certainty(X, labels, probabilities)
        np.testing.assert_allclose(found.values, expected, atol=0.01)


def test_words_follow_how_clear_clusters_are() -> None:
    X, labels = blobs(100, 0.05)
    told = describe_certainty(calibrate_certainty(X, labels), labels)
    assert {cluster["word"] for cluster in told["clusters"].values()} == {"clear"}
    assert told["n_unsure"] == 0
    X, labels = blobs(100, 0.05, k=1)
    halves = np.random.default_rng(0).integers(4, size=100)
    told = describe_certainty(calibrate_certainty(X, halves), halves)
    assert {cluster["word"] for cluster in told["clusters"].values()} == {"loose"}
    assert told["n_unsure"] > 50
    assert told["n_unsure"] == sum(cluster["n_unsure"] for cluster in told["clusters"].values())


def test_the_limits_of_the_words() -> None:
    assert [word_for(mean) for mean in (1.0, 0.8, 0.79, 0.5, 0.49, 0.0)] == [
        "clear", "clear", "mixed", "mixed", "loose", "loose",
    ]  # fmt: skip


def test_noise_has_no_certainty_and_does_not_answer() -> None:
    X, labels = blobs(60, 0.1)
    hidden = np.where(np.arange(len(labels)) % 7 == 0, -1, labels)
    certainty = calibrate_certainty(X, hidden)
    assert (certainty.values[hidden == -1] == 0).all()
    assert certainty.values[hidden != -1].min() > 0.5
    assert "-1" not in describe_certainty(certainty, hidden)["clusters"]


def test_one_cluster_is_certain() -> None:
    certainty = calibrate_certainty(np.ones((4, 3), dtype=np.float32), np.array([2, 2, -1, 2]))
    assert isinstance(certainty, Certainty)
    assert certainty.values.tolist() == [1, 1, 0, 1]
    assert certainty.temperature is None


def test_labels_with_gaps_and_two_rows() -> None:
    X = np.array([[1, 0], [0, 1]], dtype=np.float32)
    values = calibrate_certainty(X, np.array([3, 9])).values
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()
