"""Metrics against naive twins written from the definitions, against scikit-learn, and against worked values."""

import itertools
import math

import numpy as np
import pytest
import sklearn.metrics

from covey import metrics
from covey.metrics._information import neighbor_information


def naive_accuracy(truth: list[int], clusters: list[int]) -> float:
    """Try every injective map from clusters to classes."""
    classes, labels = sorted(set(truth)), sorted(set(clusters) - {-1})
    targets = classes + [None] * len(labels)
    best = 0
    for choice in set(itertools.permutations(targets, len(labels))):
        mapping = dict(zip(labels, choice, strict=True))
        best = max(best, sum(c != -1 and mapping[c] == t for t, c in zip(truth, clusters, strict=True)))
    return best / len(truth)


def naive_silhouette(X: np.ndarray, labels: np.ndarray) -> list[float]:
    result = []
    for i, own in enumerate(labels):
        mean = {}
        for label in set(labels.tolist()):
            others = [math.dist(X[i], X[j]) for j in range(len(X)) if labels[j] == label and j != i]
            mean[label] = sum(others) / len(others) if others else None
        a = mean.pop(own)
        b = min(mean.values())
        result.append(0.0 if a is None else (b - a) / max(a, b))
    return result


@pytest.mark.parametrize("seed", range(20))
def test_accuracy_is_the_best_of_all_matchings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, rng.integers(1, 5), 25).tolist()
    clusters = rng.integers(-1, rng.integers(1, 5), 25).tolist()
    assert metrics.clustering_accuracy(truth, clusters) == pytest.approx(naive_accuracy(truth, clusters))


@pytest.mark.parametrize("seed", range(3))
def test_silhouette_is_rousseeuws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(30, 3)), rng.integers(0, 5, 30)
    got = metrics.silhouette_samples(X, labels)
    np.testing.assert_allclose(got, naive_silhouette(X, labels), atol=1e-6)
    np.testing.assert_allclose(got, sklearn.metrics.silhouette_samples(X, labels), atol=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_adjusted_information_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    truth, clusters = (rng.integers(0, rng.integers(1, n + 2), n) for _ in range(2))
    expected = sklearn.metrics.adjusted_mutual_info_score(truth, clusters)
    assert metrics.adjusted_mutual_info_score(truth, clusters) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("mean", ["min", "geometric", "arithmetic", "max"])
def test_nmi_and_ari_are_scikit_learns(mean: str) -> None:
    rng = np.random.default_rng(0)
    truth, clusters = rng.integers(0, 5, 80), rng.integers(-1, 7, 80)
    expected = sklearn.metrics.normalized_mutual_info_score(truth, clusters, average_method=mean)
    assert metrics.normalized_mutual_info_score(truth, clusters, average_method=mean) == expected
    assert metrics.adjusted_rand_score(truth, clusters) == sklearn.metrics.adjusted_rand_score(truth, clusters)


def test_worked_values() -> None:
    # Two classes of three; the first cluster has two of class 0, the second one of class 0 and all of class 1.
    truth, clusters = [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]
    assert metrics.clustering_accuracy(truth, clusters) == pytest.approx(5 / 6)
    assert metrics.per_class_accuracy(truth, clusters) == pytest.approx([2 / 3, 1])
    # H(true) = log 2, H(pred) = log 3 - 2/3 log 2, H(both) = 1/3 log 3 + 1/6 log 6 + 1/2 log 2
    entropies = math.log(2) + math.log(3) - 2 / 3 * math.log(2)
    information = entropies - (math.log(3) / 3 + math.log(6) / 6 + math.log(2) / 2)
    assert metrics.normalized_mutual_info_score(truth, clusters) == pytest.approx(2 * information / entropies)
    # Pairs together: 4 in both; 6 in truth, 7 in clusters, of 15.
    assert metrics.adjusted_rand_score(truth, clusters) == pytest.approx((4 - 42 / 15) / (6.5 - 42 / 15))
    # Sizes 2 and 4 of 6.
    kl = math.log(2) - (math.log(3) - 2 / 3 * math.log(2))
    assert metrics.cluster_size_kl(clusters) == pytest.approx(kl)


def test_published_small_sample_bias() -> None:
    """Uniform random labels, 1,500 rows and 100 classes: NMI near .42 and AMI near 0, accuracy near .11."""
    rng = np.random.default_rng(0)
    truth, clusters = rng.integers(0, 100, 1500), rng.integers(0, 100, 1500)
    assert metrics.normalized_mutual_info_score(truth, clusters) == pytest.approx(0.424, abs=0.02)
    assert metrics.adjusted_mutual_info_score(truth, clusters) == pytest.approx(0, abs=0.02)
    assert metrics.clustering_accuracy(truth, clusters) == pytest.approx(0.107, abs=0.01)


def test_a_thousand_classes_take_no_time() -> None:
    """Half a second for 50,000 rows; here with five times as much, for a busy machine."""
    from time import perf_counter

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 1000, 50_000)
    clusters = np.where(rng.random(50_000) < 0.66, truth, rng.integers(0, 1000, 50_000))
    for name in ("clustering_accuracy", "adjusted_mutual_info_score", "normalized_mutual_info_score", "purity"):
        start = perf_counter()
        getattr(metrics, name)(truth, clusters)
        assert perf_counter() - start < 2.5, name


def test_neighbor_information_is_the_mutual_information_of_both_ends_of_an_edge(rng: np.random.Generator) -> None:
    table = np.array([rng.permutation(np.delete(np.arange(60), row))[:5] for row in range(60)])
    labels = rng.integers(0, 4, 60)
    ends = labels[np.repeat(np.arange(60), 5)], labels[table.ravel()]
    both = np.concatenate(ends), np.concatenate(ends[::-1])
    assert neighbor_information(labels, labels[table]) == pytest.approx(
        sklearn.metrics.mutual_info_score(*both), rel=1e-9
    )
    groups = np.arange(60) // 15  # neighbors of one group alone: all of the entropy
    own = np.array([np.delete(np.flatnonzero(groups == groups[row]), row % 15)[:5] for row in range(60)])
    assert neighbor_information(groups, groups[own]) == pytest.approx(np.log(4))
    assert neighbor_information(labels * 0, own * 0) == 0
