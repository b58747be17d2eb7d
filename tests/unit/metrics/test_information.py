import numpy as np
import pytest

from covey import metrics
from covey.metrics import entropy


def test_entropy_is_zero_for_one_class_and_log_n_for_equal_ones() -> None:
    assert entropy([0.0, 1.0]) == 0
    assert entropy(np.full((2, 3, 8), 1 / 8)) == pytest.approx(np.full((2, 3), np.log(8)))


def test_entropy_of_float32_is_computed_in_float64() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=4).astype(np.float32)
    expected = [-sum(float(value) * np.log(float(value)) for value in row) for row in p]
    assert entropy(p) == pytest.approx(expected, rel=1e-14)


def test_size_kl_is_what_entropy_lacks_of_its_largest_value() -> None:
    labels = np.random.default_rng(0).integers(0, 7, 100)
    share = np.bincount(labels) / 100
    assert metrics.cluster_size_kl(labels) == pytest.approx(np.log(7) - entropy(share))
