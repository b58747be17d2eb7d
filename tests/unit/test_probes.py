"""The probes against scikit-learn's classifiers, and that nothing is chosen by the rows they are scored on."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from covey.probes import knn_probe, linear_probe

WORDS = np.array(["ant", "bee", "cow", "dog"])


@pytest.fixture(scope="module")
def rows():
    """Four classes that overlap, 300 rows to learn from and 300 to score on."""
    X, y = make_blobs(600, n_features=12, centers=4, cluster_std=4.0, center_box=(-3, 3), random_state=0)
    X[:, 0] *= 100
    return X[:300], WORDS[y[:300]], X[300:], WORDS[y[300:]]


@pytest.mark.parametrize("penalty", [0.1, 1e-3])
def test_linear_probe_is_logistic_regression(rows, penalty) -> None:
    X, y, X_test, y_test = rows
    scaler = StandardScaler().fit(X)
    reference = LogisticRegression(C=1 / (penalty * len(X)), tol=1e-8, max_iter=2000).fit(scaler.transform(X), y)
    result = linear_probe(*rows, penalties=[penalty], random_state=0)
    assert (result.predictions == reference.predict(scaler.transform(X_test))).mean() >= 0.99
    assert result.accuracy == (result.predictions == y_test).mean()
    assert result.settings["penalty"] == penalty


def test_the_penalty_is_chosen_on_rows_that_are_learned_from(rows) -> None:
    """Whatever the test rows and their classes are, the choice is the same."""
    X, y, X_test, y_test = rows
    first = linear_probe(X, y, X_test, y_test, random_state=0)
    second = linear_probe(X, y, X_test[::-1] * 0, y_test, random_state=0)
    assert first.settings == second.settings
    shuffled = np.random.default_rng(0).permutation(y)  # classes that cannot be learned ask for a strong penalty
    assert linear_probe(X, shuffled, X_test, y_test, random_state=0).settings["held_out_accuracy"] < 0.4
    assert first.settings["held_out_accuracy"] > 0.5


def test_knn_probe_is_a_vote_by_cosine(rows) -> None:
    X, y, X_test, _ = rows
    reference = KNeighborsClassifier(7, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07)).fit(X, y)
    result = knn_probe(*rows, n_neighbors=7)
    assert (result.predictions == reference.predict(X_test)).mean() >= 0.99
    plain = KNeighborsClassifier(1, metric="cosine").fit(X, y)
    one = knn_probe(*rows, n_neighbors=1, weights="uniform")
    np.testing.assert_array_equal(one.predictions, plain.predict(X_test))
    assert "temperature" not in one.settings
    assert knn_probe(*rows, n_neighbors=10_000, weights="uniform").settings["n_neighbors"] == 300


def test_macro_accuracy_counts_classes_and_not_rows() -> None:
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    X_test, y_test = np.array([[1.0, 0.0]] * 8 + [[1.0, 0.1], [0.1, 1.0]]), [0] * 8 + [1, 1]
    result = knn_probe(X, [0, 1], X_test, y_test, n_neighbors=1)
    assert result.accuracy == pytest.approx(0.9)
    assert result.macro_accuracy == pytest.approx(0.75)
    unknown = knn_probe(X, [0, 1], X_test, [7] * 10, n_neighbors=1)
    assert unknown.accuracy == 0


def test_a_probe_that_stops_early_says_so(rows) -> None:
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        linear_probe(*rows, penalties=[1e-4], max_iter=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalties": []}, "penalties are"),
        ({"penalties": [-1.0]}, "penalties are"),
        ({"held_out": 1.0}, "held_out is"),
        ({"y": WORDS[[0] * 300]}, "one class only"),
        ({"y": WORDS}, "y has shape"),
        ({"X_test": np.zeros((300, 3))}, "X has 12 features"),
        ({"X_test": np.full((300, 12), np.nan)}, "X_test holds NaN"),
    ],
)
def test_linear_probe_says_what_is_wrong(rows, changes, message) -> None:
    arguments = dict(zip(("X", "y", "X_test", "y_test"), rows, strict=True)) | changes
    with pytest.raises(ValueError, match=message):
        linear_probe(**arguments)


@pytest.mark.parametrize("changes", [{"n_neighbors": 0}, {"weights": "distance"}, {"temperature": 0.0}])
def test_knn_probe_says_what_is_wrong(rows, changes) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(changes))} is"):
        knn_probe(*rows, **changes)
