"""What every registered clusterer promises that is fitted on pictures in place of rows of features.

scikit-learn's own checks fit two-dimensional arrays, which are no pictures; these take their place.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from covey.cluster import CLUSTERERS
from covey.metrics import clustering_accuracy

# What makes a fit short enough; a clusterer that is not listed runs with its defaults.
SHORT: dict[str, dict[str, Any]] = {
    "mmdc": {
        "width": 4, "input_size": 16, "crops": (0.875,), "n_epochs": 20, "batch_size": 10, "learning_rate": 0.01,
        "rotation": False, "jitter": (0.2, 0.2, 0.0, 0.0), "grayscale": 0.0, "flip": False,
    },
}  # fmt: skip
ON_PIXELS = [spec.name for spec in CLUSTERERS.specs() if spec.rows == "images"]


def make(name: str, **changes: Any) -> Any:
    return CLUSTERERS[name](**{"n_clusters": 2, "random_state": 0, **SHORT.get(name, {}), **changes})


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Reddish and bluish pictures of noise."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 100, (100, 16, 16, 3), dtype=np.uint8)
    y = np.arange(100) % 2
    X[y == 0, ..., 0] += 120
    X[y == 1, ..., 2] += 120
    return X, y


@pytest.fixture(scope="module", params=ON_PIXELS)
def fitted(request: pytest.FixtureRequest, pictures: tuple[np.ndarray, np.ndarray]) -> Any:
    return make(request.param).fit(pictures[0])


@pytest.fixture(params=ON_PIXELS)
def estimator(request: pytest.FixtureRequest) -> Any:
    return make(request.param)


def test_there_are_some() -> None:
    assert "mmdc" in ON_PIXELS


def test_finds_two_kinds(fitted: Any, pictures: tuple[np.ndarray, np.ndarray]) -> None:
    labels = fitted.labels_
    assert labels.dtype == np.int64
    assert labels.shape == (100,)
    assert set(labels) <= {0, 1}
    assert clustering_accuracy(pictures[1], labels) >= 0.95


def test_a_pictures_answer_does_not_hang_on_the_ones_beside_it(fitted: Any, pictures: Any) -> None:
    X, _ = pictures
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict(X[::-1])[::-1], fitted.labels_)
    Z = fitted.transform(X)
    assert Z.dtype == np.float32
    assert Z.shape == (100, len(fitted.get_feature_names_out()))
    np.testing.assert_array_equal(np.concatenate([fitted.transform(X[i : i + 1]) for i in range(5)]), Z[:5])
    np.testing.assert_array_equal(fitted.transform(X[50:80]), Z[50:80])


def test_same_seed_same_numbers_from_a_memory_map_other_generators_untouched(
    estimator: Any, fitted: Any, pictures: Any, tmp_path: Path
) -> None:
    X, _ = pictures
    np.save(tmp_path / "pixels.npy", X)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 the caller's
    np.testing.assert_array_equal(clone(estimator).fit(mapped).transform(mapped), fitted.transform(X))
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # noqa: NPY002 the caller's


def test_integers_floats_and_lists_give_the_same(fitted: Any, pictures: Any) -> None:
    X, _ = pictures
    for same in (X.astype(np.int64), X.astype(np.float64), list(X), X.tolist()):
        np.testing.assert_array_equal(fitted.predict(same), fitted.labels_)


def test_it_can_be_pickled_and_has_plain_diagnostics(fitted: Any, pictures: Any) -> None:
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 our own bytes
    np.testing.assert_array_equal(again.transform(pictures[0]), fitted.transform(pictures[0]))
    assert json.loads(json.dumps(fitted.diagnostics_)) == fitted.diagnostics_


def test_before_fit(estimator: Any, pictures: Any) -> None:
    for method in (estimator.predict, estimator.transform):
        with pytest.raises(NotFittedError):
            method(pictures[0])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda X: X.reshape(100, -1), r"shape \(100, 768\); images must be \(n, h, w, 3\)"),
        (lambda X: X[..., :2], r"images must be \(n, h, w, 3\)"),
        (lambda X: [X[0], X[1, :8]], r"2 shapes \(\(8, 16, 3\), \(16, 16, 3\)\); scale or crop all to one size"),
        (lambda X: [X[0], X[1, ..., 0]], r"1 images in grayscale \(h, w\) and 1 others; bring all to"),
        (lambda X: X[0], r"images of 16 x 3 pixels; .*One image in color alone is X\[None\]"),
        (lambda X: X[:1], r"n_samples=1\); at least 2 are needed"),
        (lambda X: X[:0], r"n_samples=0"),
        (lambda X: X - 300.0, r"pixels from -300.0 to .*; they must be finite and lie in \[0, 255\]"),
        (lambda X: X + 100.0, r"lie in \[0, 255\]"),
        (lambda X: X.astype(np.int64) * 2, r"lie in \[0, 255\]"),
        (lambda X: X * np.where(np.arange(3) == 1, np.nan, 1), "must be finite"),
        (lambda X: X / 255, "multiply by 255"),
    ],
)
def test_bad_pictures_are_told(estimator: Any, pictures: Any, bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator.fit(bad(pictures[0]))
    assert not hasattr(estimator, "labels_")


def test_pixels_that_are_no_numbers(estimator: Any, pictures: Any) -> None:
    with pytest.raises(TypeError, match="pixels must be numbers from 0 to 255"):
        estimator.fit(pictures[0].astype(str))


@pytest.mark.parametrize("n_clusters", [0, -1, 101])
def test_says_how_many_clusters_are_possible(estimator: Any, pictures: Any, n_clusters: int) -> None:
    with pytest.raises(ValueError, match=f"n_clusters is {n_clusters}"):
        estimator.set_params(n_clusters=n_clusters).fit(pictures[0])


def test_other_pictures_than_those_of_the_fit(fitted: Any, pictures: Any) -> None:
    for other in (pictures[0][:, :12], pictures[0][..., 0]):
        with pytest.raises(ValueError, match="MMDC was fitted on"):
            fitted.predict(other)


def test_a_failed_fit_leaves_what_was_there(fitted: Any, pictures: Any) -> None:
    labels = fitted.labels_.copy()
    with pytest.raises(ValueError, match="n_samples=1"):
        fitted.fit(pictures[0][:1])
    np.testing.assert_array_equal(fitted.labels_, labels)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of a training of two epochs
def test_one_cluster_and_grey_pictures(estimator: Any, pictures: Any) -> None:
    estimator.set_params(**{"n_epochs": 2} if "n_epochs" in estimator.get_params() else {})
    assert (clone(estimator).set_params(n_clusters=1).fit(pictures[0]).labels_ == 0).all()
    grey = pictures[0].mean(axis=3).astype(np.uint8)
    np.testing.assert_array_equal(estimator.fit(grey).predict(grey), estimator.labels_)
