import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey import metrics

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 5)), min_size=1, max_size=40)


@given(pairs, st.permutations(range(6)))
def test_renaming_clusters_changes_nothing(rows: list[tuple[int, int]], permutation: list[int]) -> None:
    truth, clusters = np.array(rows).T
    renamed = np.array([*permutation, -1])[clusters]
    for name in ("clustering_accuracy", "macro_accuracy", "purity", "adjusted_mutual_info_score"):
        function = getattr(metrics, name)
        assert function(truth, renamed) == pytest.approx(function(truth, clusters), abs=1e-9), name


@given(pairs)
def test_accuracy_lies_between_the_largest_class_share_of_a_cluster_and_purity(rows: list[tuple[int, int]]) -> None:
    truth, clusters = np.array(rows).T
    accuracy = metrics.clustering_accuracy(truth, clusters)
    largest = metrics.contingency_matrix(truth, clusters).counts.max(initial=0) / len(truth)
    assert largest - 1e-12 <= accuracy <= metrics.purity(truth, clusters) + 1e-12


@given(pairs)
def test_values_stay_in_range(rows: list[tuple[int, int]]) -> None:
    truth, clusters = np.array(rows).T
    for name in metrics.METRICS:
        spec = metrics.METRICS[name]
        if spec.needs == ("labels_true", "labels_pred"):
            assert spec.range[0] - 1e-9 <= spec.function(truth, clusters) <= spec.range[1] + 1e-9, name


@given(pairs)
def test_strings_and_integers_are_the_same_ground_truth(rows: list[tuple[int, int]]) -> None:
    truth, clusters = np.array(rows).T
    assert metrics.clustering_accuracy(truth.astype(str), clusters) == metrics.clustering_accuracy(truth, clusters)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.integers(2, 4))
def test_silhouette_does_not_hang_on_scale_or_place(seed: int, scale: float, n_clusters: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    labels = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, 40 - n_clusters)])
    expected = metrics.silhouette_samples(X, labels)
    np.testing.assert_allclose(metrics.silhouette_samples(X * scale + scale, labels), expected, atol=1e-3)
