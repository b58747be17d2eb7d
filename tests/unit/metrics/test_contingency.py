import numpy as np
import pytest

from covey.metrics import contingency_matrix, match_clusters


def test_counts_class_by_cluster() -> None:
    table = contingency_matrix(["b", "a", "b", "b"], [3, 3, 7, -1])
    assert table.classes.tolist() == ["a", "b"]
    assert table.clusters.tolist() == [3, 7]
    assert table.counts.tolist() == [[1, 0], [1, 1]]
    assert table.class_sizes.tolist() == [1, 3]
    assert table.counts.dtype == np.int64


def test_only_noise_leaves_no_column() -> None:
    table = contingency_matrix([0, 1], [-1, -1])
    assert table.counts.shape == (2, 0)
    assert match_clusters(table)[0].shape == (0,)


@pytest.mark.parametrize("shape", [(2, 4), (4, 2), (3, 3)])
def test_matching_is_one_to_one_and_rectangular(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rows, columns = match_clusters(contingency_matrix(rng.integers(0, shape[0], 200), rng.integers(0, shape[1], 200)))
    assert len(rows) == min(shape)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(shape)


def test_among_equal_matchings_the_best_mean_per_class_wins() -> None:
    # Class 0 has four rows, class 1 two. Pairing the one cluster with either gets two rows right.
    truth, clusters = [0, 0, 0, 0, 1, 1], [5, 5, -1, -1, 5, 5]
    rows, _ = match_clusters(contingency_matrix(truth, clusters))
    assert rows.tolist() == [1]


@pytest.mark.parametrize(
    ("truth", "clusters", "error", "words"),
    [
        ([0, 1], [0], ValueError, "labels_true has 2 rows, labels_pred has 1"),
        ([], [], ValueError, "empty"),
        ([0, -1], [0, 1], ValueError, "classes are not negative"),
        ([0, 1], [0, -2], ValueError, "-1 alone means noise"),
        ([0.0, np.nan], [0, 1], TypeError, "labels_true has dtype float64"),
        ([0, 1], [0.0, np.nan], TypeError, "labels_pred has dtype float64"),
        ([0, None], [0, 1], TypeError, "labels_true has dtype object"),
        ([[0, 1]], [0, 1], ValueError, "one-dimensional"),
        ([0, 1], [[0, 1]], ValueError, "one-dimensional"),
        ([0, 1], ["a", "b"], TypeError, "cluster labels must be integers"),
    ],
)
def test_says_what_is_wrong_with_labels(truth: object, clusters: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        contingency_matrix(truth, clusters)


def test_object_strings_and_unsigned_integers_are_labels() -> None:
    assert contingency_matrix(np.array(["x", "y"], dtype=object), np.array([0, 1], dtype=np.uint8)).counts.sum() == 2
