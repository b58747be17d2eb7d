import numpy as np
import pytest

from covey import metrics


def test_noise_counts_as_wrong() -> None:
    truth, clusters = [0, 0, 1, 1], [0, -1, 1, -1]
    assert metrics.clustering_accuracy(truth, clusters) == 0.5
    assert metrics.purity(truth, clusters) == 0.5
    assert metrics.per_class_accuracy(truth, clusters).tolist() == [0.5, 0.5]
    assert metrics.clustering_accuracy(truth, [-1] * 4) == 0


def test_surplus_clusters_are_wrong_for_accuracy_but_pure() -> None:
    truth, clusters = [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]
    assert metrics.clustering_accuracy(truth, clusters) == pytest.approx(4 / 6)
    assert metrics.purity(truth, clusters) == 1


def test_a_class_without_cluster_scores_zero() -> None:
    assert metrics.per_class_accuracy([0, 0, 1, 2], [0, 0, 1, 1]).tolist() == [1, 1, 0]


def test_macro_accuracy_weighs_classes_equally() -> None:
    truth = [0] * 98 + [1] * 2
    clusters = [0] * 98 + [0, 1]
    assert metrics.clustering_accuracy(truth, clusters) == 0.99
    assert metrics.macro_accuracy(truth, clusters) == 0.75


def test_calibration_error_of_a_worked_example() -> None:
    truth = np.array([0, 0, 1, 1])
    clusters = np.array([0, 0, 1, 0])  # three of four are right
    error = metrics.expected_calibration_error(truth, clusters, [0.9, 0.9, 0.9, 0.1], n_bins=2)
    assert error == pytest.approx((abs(3 - 2.7) + abs(0 - 0.1)) / 4)


def test_calibration_error_counts_noise_and_unmatched_clusters_as_wrong() -> None:
    assert metrics.expected_calibration_error([0, 1], [-1, -1], [1.0, 1.0]) == 1
    assert metrics.expected_calibration_error([0, 0, 0], [0, 0, 1], [1.0, 1.0, 1.0]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("confidence", "n_bins", "words"),
    [
        ([0.5], 15, "confidence has shape"),
        ([0.5, np.nan], 15, "holds NaN"),
        ([0.5, 1.5], 15, "leaves"),
        ([0.5, 0.5], 0, "n_bins"),
    ],
)
def test_calibration_error_checks_confidence(confidence: list[float], n_bins: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        metrics.expected_calibration_error([0, 1], [0, 1], confidence, n_bins=n_bins)


def test_nmi_names_its_normaliser() -> None:
    truth, clusters = [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]
    values = {
        mean: metrics.normalized_mutual_info_score(truth, clusters, average_method=mean)
        for mean in ("min", "geometric", "arithmetic", "max")
    }
    assert values["min"] > values["geometric"] > values["arithmetic"] > values["max"]
    assert metrics.normalized_mutual_info_score(truth, clusters) == values["arithmetic"]


@pytest.mark.parametrize(
    "name", ["clustering_accuracy", "macro_accuracy", "purity", "normalized_mutual_info_score",
             "adjusted_mutual_info_score", "adjusted_rand_score", "per_class_accuracy"]
)  # fmt: skip
def test_every_external_metric_checks_lengths(name: str) -> None:
    with pytest.raises(ValueError, match="3 rows"):
        getattr(metrics, name)([0, 1, 2], [0, 1])
