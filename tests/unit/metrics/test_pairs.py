import math

import numpy as np
import pytest

from covey.metrics import pair_quality


def test_it_is_the_naive_mean_over_pairs(rng: np.random.Generator) -> None:
    y, partners, weights = rng.integers(0, 3, 50), rng.integers(0, 50, (50, 4)), rng.random((50, 4))
    pairs = [(y[i] == y[partners[i, j]], weights[i, j]) for i in range(50) for j in range(4)]
    true, false = ([w for is_true, w in pairs if is_true is np.bool_(kind)] for kind in (True, False))
    found = pair_quality(y, partners, weights)
    assert found == pytest.approx((len(true) / 200, np.mean(true), np.mean(false)))


def test_without_false_pairs_their_weight_is_nan() -> None:
    found = pair_quality([1, 1], [[1], [0]], [[0.5], [0.7]])
    assert found.purity == 1
    assert found.true_weight == pytest.approx(0.6)
    assert math.isnan(found.false_weight)


@pytest.mark.parametrize(
    ("partners", "weights"),
    [
        ([[1], [0]], [[0.5], [0.5], [0.5]]),
        ([[1], [2], [0]], [[1.0]] * 3),
        ([1, 0], [0.5, 0.5]),
        ([[1], [2]], [[1.0]] * 2),
    ],
)
def test_what_does_not_fit_is_refused(partners: list, weights: list) -> None:
    with pytest.raises(ValueError, match="partners"):
        pair_quality([0, 1], partners, weights)
