"""SCAN on small data: its settings, its pairs, its heads. What every clusterer promises is in tests/contracts."""

import inspect
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from covey.cluster import SCAN
from covey.cluster._scan import PRESETS
from covey.errors import UnknownNameError
from covey.neighbors import nearest_neighbors

SHORT = {"n_heads": 4, "n_steps": 200, "learning_rate": 1e-2, "batch_size": 128, "device": "cpu"}


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(400, n_features=12, centers=4, cluster_std=1.0, random_state=3)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(blobs):
    return SCAN(4, **SHORT, random_state=0).fit(blobs[0])


def test_finds_blobs(blobs, fitted):
    assert adjusted_rand_score(blobs[1], fitted.labels_) > 0.95


@pytest.mark.parametrize(
    "change",
    [
        {"include_self": False},
        {"optimizer": "sgd", "learning_rate": 1.0},
        {"standardize": False},
        {"schedule": "constant"},
        {"n_epochs": 70, "n_steps": 1},
        {"precision": "bfloat16"},
    ],
)
def test_every_choice_finds_blobs(blobs, change):
    scan = SCAN(4, **{**SHORT, **change}, random_state=0).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], scan.labels_) > 0.9


def test_the_head_with_the_lowest_late_loss_answers(fitted):
    assert fitted.loss_history_.shape == (67, 4)  # 200 steps of 3 a pass
    late = fitted.loss_history_[-6:].mean(axis=0)
    np.testing.assert_allclose(fitted.head_losses_, late, rtol=1e-5)
    assert fitted.best_head_ == late.argmin()
    assert (fitted.head_losses_ >= -5 * math.log(4) - 1e-3).all()


def test_heads_do_not_feel_one_another(blobs):
    """Adam and the summed loss train each head as if it were alone."""
    three = SCAN(4, **{**SHORT, "n_heads": 3, "n_steps": 30}, random_state=0).fit(blobs[0])
    one = SCAN(4, **{**SHORT, "n_heads": 1, "n_steps": 30}, random_state=0).fit(blobs[0])
    np.testing.assert_allclose(three.loss_history_[:, :1], one.loss_history_, rtol=1e-4, atol=1e-4)


def test_a_graph_may_be_given(blobs):
    X = blobs[0]
    graph = nearest_neighbors(X, n_neighbors=30)
    given = SCAN(4, **SHORT, random_state=0).fit(X, neighbors=graph)
    own = SCAN(4, **SHORT, random_state=0).fit(X)
    np.testing.assert_array_equal(given.probabilities_, own.probabilities_)


def test_a_graph_of_other_rows_is_refused(blobs):
    graph = nearest_neighbors(blobs[0][:300], n_neighbors=30)
    with pytest.raises(ValueError, match="300 rows, X has 400"):
        SCAN(4, **SHORT).fit(blobs[0], neighbors=graph)


def test_without_the_entropy_it_collapses_and_says_so(blobs):
    scan = SCAN(4, **{**SHORT, "entropy_weight": 0.0}, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Raise entropy_weight"):
        scan.fit(blobs[0])
    assert scan.diagnostics_["n_empty_clusters"] == 4 - len(set(scan.labels_)) > 0


def test_pickled_and_loaded_it_predicts_the_same(blobs, fitted):
    loaded = pickle.loads(pickle.dumps(fitted))  # noqa: S301, made one line above
    np.testing.assert_array_equal(loaded.predict_proba(blobs[0]), fitted.probabilities_)


def test_progress_reaches_its_end(blobs):
    calls = []
    SCAN(4, **SHORT).fit(blobs[0], progress=lambda *call: calls.append(call))
    assert calls[-1] == ("train", 200, 200)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("n_heads", 0, ValueError),
        ("n_neighbors", 0, ValueError),
        ("batch_size", 0, ValueError),
        ("n_steps", 1.5, TypeError),
        ("n_epochs", 0, ValueError),
        ("entropy_weight", -1.0, ValueError),
        ("weight_decay", -1.0, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("momentum", 1.5, ValueError),
        ("optimizer", "rmsprop", ValueError),
    ],
)
def test_wrong_parameters_are_named(blobs, name, value, error):
    with pytest.raises(error, match=name):
        SCAN(4, **{name: value}).fit(blobs[0])


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_fit_the_signature(preset):
    assert PRESETS[preset].keys() <= inspect.signature(SCAN).parameters.keys()
    scan = SCAN.from_preset(preset, n_clusters=7)
    assert scan.n_clusters == 7
    assert scan.get_params().items() >= PRESETS[preset].items()


def test_an_unknown_preset_is_named():
    with pytest.raises(UnknownNameError, match="paper-imagenet"):
        SCAN.from_preset("paper-mnist")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # so high a rate may lose a cluster
def test_published_rates_stay_finite(blobs):
    """SGD with rate 5, on features of unit length: nothing overflows, whatever the clusters."""
    X = blobs[0] / np.linalg.norm(blobs[0], axis=1, keepdims=True)
    scan = SCAN.from_preset("paper-imagenet", n_clusters=4, n_neighbors=21, random_state=0, device="cpu")
    scan.set_params(batch_size=128, n_epochs=40).fit(X)
    assert np.isfinite(scan.loss_history_).all()
    torch.testing.assert_close(torch.from_numpy(scan.probabilities_).sum(1), torch.ones(400))
