"""Scores of a labelling, and numbers over seeds."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from covey.bench.report._cells import versus
from covey.bench.report._statistics import compare, median_of, summarize
from covey.bench.runner._scores import score_batches, score_labels


def test_scores_have_one_matching_and_name_their_normaliser(rng: np.random.Generator) -> None:
    y = rng.integers(3, size=300)
    scores = score_labels(y, (y + 1) % 3)
    for name in ("acc", "nmi_arithmetic", "nmi_geometric", "ami", "ari", "macro_acc"):
        assert scores[name] == pytest.approx(1)
    assert scores["n"] == 300
    assert scores["n_used"] == 3
    assert "ece" not in scores


def test_noise_is_wrong_and_counted() -> None:
    y = np.repeat([0, 1], 50)
    labels = y.copy()
    labels[:20] = -1
    scores = score_labels(y, labels)
    assert scores["acc"] == pytest.approx(0.8)
    assert scores["n_noise"] == 20
    assert scores["n_used"] == 2


def test_calibration_is_measured_after_matching() -> None:
    y = np.repeat([0, 1], 50)
    sure = np.full((100, 2), 0.0)
    sure[np.arange(100), 1 - y] = 1.0
    assert score_labels(y, 1 - y, sure)["ece"] == pytest.approx(0)
    assert score_labels(y, np.zeros(100, dtype=int), np.full((100, 2), [0.9, 0.1]))["ece"] == pytest.approx(0.4)


def test_the_interval_is_that_of_resampled_images(rng: np.random.Generator) -> None:
    y = np.arange(400) % 4
    labels = np.where(rng.random(400) < 0.7, y, rng.integers(4, size=400))
    scores = score_labels(y, labels)
    right = labels == y  # the matching is the identity at this accuracy
    assert right.mean() == pytest.approx(scores["acc"])
    naive = [right[rng.integers(400, size=400)].mean() for _ in range(2000)]
    np.testing.assert_allclose(scores["acc_interval"], np.percentile(naive, (2.5, 97.5)), atol=0.01)


def test_batches_flatter_a_random_labelling(rng: np.random.Generator) -> None:
    y, labels = rng.integers(100, size=5000), rng.integers(100, size=5000)
    batches = score_batches(y, labels)
    assert batches["n"] == 1024
    assert batches["n_batches"] == 4
    assert batches["acc"] > 2 * score_labels(y, labels)["acc"]
    assert score_batches(y[:10], labels[:10])["n"] == 10


def test_summaries() -> None:
    summary = summarize([1.0, 2.0, 6.0])
    assert (summary.mean, summary.median, summary.low, summary.high, summary.n) == (3.0, 2.0, 1.0, 6.0, 3)
    assert summary.std == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert summarize([5.0]).std == 0


def test_the_comparison_is_paired_and_exact() -> None:
    first, second = {0: 0.5, 1: 0.7, 2: 0.6, 9: 0.1}, {0: 0.4, 1: 0.5, 2: 0.65, 5: 0.9}
    result = compare(first, second)
    assert result is not None
    differences = np.array([0.1, 0.2, -0.05])
    assert (result.n, result.n_better) == (3, 2)
    assert result.mean == pytest.approx(differences.mean())
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=3)]
    assert result.p == pytest.approx(np.mean(np.array(sums) >= 0.25 - 1e-12))


def test_five_seeds_can_prove_no_more_than_a_sixteenth() -> None:
    result = compare(dict.fromkeys(range(5), 0.9), {seed: 0.1 * seed for seed in range(5)})
    assert result is not None
    assert result.p == pytest.approx(1 / 16)


@pytest.mark.parametrize("n", [1, 2, 8, 14])
def test_the_comparison_counts_every_sign_pattern_of_all_seeds(n: int) -> None:
    """Whole numbers tie often; with 14 seeds a difference that the first 12 do not show must count."""
    differences = np.random.default_rng(n).integers(-3, 5, n).astype(float)
    differences[-1] = 9
    result = compare(dict(enumerate(differences)), dict.fromkeys(range(n), 0.0))
    sums = np.array(list(itertools.product((1, -1), repeat=n))) @ differences
    assert result is not None
    assert result.is_exact
    assert result.p == pytest.approx((np.abs(sums) >= abs(differences.sum()) - 1e-12).mean())


def test_the_comparison_of_many_seeds_is_estimated_the_same_each_time_and_says_so() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 20)
    first, again = (compare(dict(enumerate(differences)), dict.fromkeys(range(20), 0.0)) for _ in range(2))
    assert first is not None
    assert first == again
    assert not first.is_exact
    assert "p ≈ " in versus(first)
    # The central limit theorem: a sum of signs times differences is nearly normal.
    z = abs(differences.sum()) / np.sqrt(np.square(differences).sum())
    assert first.p == pytest.approx(2 * norm.sf(z), abs=0.02)


def test_methods_that_never_differ_have_a_p_of_one() -> None:
    result = compare({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5})
    assert result is not None
    assert result.p == 1
    assert "p = 1.00" in versus(result)


def test_common_seeds_are_compared() -> None:
    result = compare({0: 0.5, 2: 0.2, 3: 0.9}, {0: 0.4, 1: 0.6, 2: 0.3})
    assert result is not None
    assert (result.n, result.n_better, result.n_worse) == (2, 1, 1)
    assert compare({0: 1.0, 1: 1.0}, {}) is None
    assert compare({0: 1.0, 1: 1.0}, {2: 1.0, 3: 1.0}) is None


def test_medians_pass_over_lines_without_the_number() -> None:
    assert median_of([{"a": {"b": 1}}, {"a": {}}, {"a": {"b": 4}}, {"a": {"b": 2}}], "a", "b") == 2
    assert median_of([{"a": {}}], "a", "b") is None
