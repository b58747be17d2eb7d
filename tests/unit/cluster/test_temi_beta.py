import numpy as np
import pytest
from sklearn.datasets import make_blobs

from covey.cluster._temi import TEMI
from covey.cluster._temi_beta import _entropies, first_constantly_low, select_beta


@pytest.fixture(scope="module")
def sweep():
    X, _ = make_blobs(300, n_features=8, centers=4, cluster_std=2.0, random_state=3)
    temi = TEMI(
        4, n_heads=2, n_steps=100, init="random", hidden_size=32, bottleneck_size=16, batch_size=100, random_state=0
    )
    calls = []
    found = select_beta(X, temi, betas=(1.0, 0.505, 0.6), progress=lambda *call: calls.append(call))
    assert calls == [("beta", 1, 3), ("beta", 2, 3), ("beta", 3, 3)]
    assert not hasattr(temi, "labels_")
    return found


def test_the_curve_is_in_order_of_beta(sweep):
    np.testing.assert_array_equal(sweep.betas, [0.505, 0.6, 1.0])
    assert (sweep.marginal_entropy <= np.log(4) + 1e-6).all()
    assert (sweep.conditional_entropy >= 0).all()


def test_near_one_half_predictions_are_unsure(sweep):
    assert sweep.conditional_entropy[0] > sweep.conditional_entropy[1]


def test_the_pick_is_one_of_the_tried(sweep):
    assert sweep.beta == sweep.betas[first_constantly_low(sweep.conditional_entropy, 0.05 * np.log(4))]


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2.0, 1.0, 0.21, 0.2, 0.19], 2),
        ([0.2, 0.2, 0.2], 0),
        ([0.2, 1.0, 0.2, 0.2], 2),  # low once is not constantly low
        ([0.2, 0.2, 1.0], 2),  # it rises at the end: nothing is constantly low
        ([1.0], 0),
    ],
)
def test_the_lowest_beta_from_which_on_predictions_stay_sure(curve, expected):
    assert first_constantly_low(np.array(curve), 0.05) == expected


def test_entropies_of_one_hot_and_of_uniform_predictions():
    assert _entropies(np.eye(4, dtype=np.float32)) == pytest.approx((np.log(4), 0.0))
    assert _entropies(np.full((3, 4), 0.25, np.float32)) == pytest.approx((np.log(4), np.log(4)))


@pytest.mark.parametrize("betas", [(), (0.5,), (0.6, 1.2)])
def test_impossible_betas_are_refused(betas):
    with pytest.raises(ValueError, match="betas"):
        select_beta(np.zeros((4, 2)), TEMI(2), betas=betas)
