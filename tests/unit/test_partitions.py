"""From labels to what a person sees."""

from types import SimpleNamespace

import numpy as np
import pytest

from covey.partitions import make_partition, summarize_clusters
from covey.types import NOISE, ClusterName, Features


def features_of(X: np.ndarray) -> Features:
    return Features(tuple(f"id{i}" for i in range(len(X))), X.astype(np.float32), "print")


def fitted(labels: list[int], probabilities: np.ndarray | None = None, n_clusters: int = 3) -> SimpleNamespace:
    params = {"n_clusters": n_clusters}
    extra = {} if probabilities is None else {"probabilities_": probabilities}
    return SimpleNamespace(labels_=np.array(labels), get_params=lambda deep: params, **params, **extra)


@pytest.fixture
def three_directions() -> Features:
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(3), [2, 5, 3], axis=0) + 0.05 * rng.normal(size=(10, 3))
    return features_of(X)


def test_the_largest_cluster_is_the_first(three_directions: Features) -> None:
    partition = make_partition(three_directions, fitted([0] * 2 + [1] * 5 + [2] * 3), method="m", info={"a": 1})
    assert partition.labels.tolist() == [2, 2, 0, 0, 0, 0, 0, 1, 1, 1]
    assert partition.info == {"a": 1, "diagnostics": {}}
    assert partition.params == {"n_clusters": 3}


def test_probabilities_follow_their_clusters(three_directions: Features) -> None:
    labels = [0] * 2 + [1] * 5 + [2] * 3
    probabilities = np.full((10, 3), 0.1)
    probabilities[np.arange(10), labels] = 0.7
    probabilities[:, 0] += 0.1
    partition = make_partition(three_directions, fitted(labels, probabilities), method="m", info={})
    np.testing.assert_allclose(partition.confidence, [0.8] * 2 + [0.7] * 8, rtol=1e-6)
    np.testing.assert_array_equal(partition.probabilities.argmax(axis=1), partition.labels)
    assert partition.second_labels[2:].tolist() == [2] * 8


def test_margins_match_their_definition(three_directions: Features) -> None:
    labels = np.array([0] * 2 + [1] * 5 + [2] * 3)
    partition = make_partition(three_directions, fitted(labels.tolist()), method="m", info={})
    unit = three_directions.X / np.linalg.norm(three_directions.X, axis=1, keepdims=True)
    means = np.stack([unit[partition.labels == label].mean(axis=0) for label in range(3)])
    distances = np.linalg.norm(unit[:, None] - means[None], axis=2)
    ranked = np.sort(distances, axis=1)
    np.testing.assert_allclose(partition.confidence, (ranked[:, 1] - ranked[:, 0]) / ranked[:, 1], atol=1e-3)
    np.testing.assert_array_equal(partition.second_labels, distances.argsort(axis=1)[:, 1])


def test_an_empty_cluster_is_nobody_s_second_choice(three_directions: Features) -> None:
    partition = make_partition(three_directions, fitted([0] * 5 + [3] * 5, n_clusters=5), method="m", info={})
    assert set(partition.labels) == {0, 1}
    assert set(partition.second_labels) == {0, 1}


def test_one_cluster_is_sure_and_has_no_second(three_directions: Features) -> None:
    partition = make_partition(three_directions, fitted([0] * 10, n_clusters=1), method="m", info={})
    assert partition.confidence.tolist() == [1.0] * 10
    assert partition.second_labels.tolist() == [NOISE] * 10
    (summary,) = summarize_clusters(three_directions, partition)
    assert summary.nearest_label == NOISE


def test_noise_has_no_confidence(three_directions: Features) -> None:
    partition = make_partition(three_directions, fitted([NOISE] * 2 + [1] * 5 + [2] * 3), method="m", info={})
    assert partition.labels[:2].tolist() == [NOISE, NOISE]
    assert partition.confidence[:2].tolist() == [0, 0]
    assert sum(summary.size for summary in summarize_clusters(three_directions, partition)) == 8


def test_summaries_name_real_images(three_directions: Features) -> None:
    partition = make_partition(three_directions, fitted([0] * 2 + [1] * 5 + [2] * 3), method="m", info={})
    summaries = summarize_clusters(three_directions, partition, {1: ClusterName(1, "birds", 0.9)})
    assert [summary.size for summary in summaries] == [5, 3, 2]
    assert [summary.name.name for summary in summaries] == ["Cluster 0", "birds", "Cluster 2"]
    for summary in summaries:
        members = {partition.ids[row] for row in np.flatnonzero(partition.labels == summary.label)}
        assert set(summary.representatives) == members == set(summary.borderline)
        assert 0.9 < summary.cohesion <= 1
        assert summary.nearest_label != summary.label
    unit = three_directions.X / np.linalg.norm(three_directions.X, axis=1, keepdims=True)
    rows = np.flatnonzero(partition.labels == 0)
    center = unit[rows].mean(axis=0)
    best = rows[np.argmax(unit[rows] @ center)]
    assert summaries[0].representatives[0] == partition.ids[best]
    assert summaries[0].borderline[0] == partition.ids[rows[np.argmin(partition.confidence[rows])]]
