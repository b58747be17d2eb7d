"""What every registered clusterer promises: scikit-learn's contract, and ours."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib.util import find_spec
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from covey.cluster import CLUSTERERS
from covey.cluster._base import Clusterer
from covey.metrics import clustering_accuracy
from covey.types import NOISE

# What makes a fit short enough for a hundred checks; a clusterer that is not listed runs with its defaults.
SHORT: dict[str, dict[str, Any]] = {
    "kmeans": {"n_init": 3},
    "temi": {"n_heads": 2, "n_steps": 60, "hidden_size": 16, "bottleneck_size": 8, "n_neighbors": 5},
    "scp": {"hidden_sizes": (32, 16), "n_steps": 60, "learning_rate": 1e-2, "n_neighbors": 5},
    "scan": {"n_heads": 4, "n_steps": 200, "learning_rate": 1e-2, "n_neighbors": 5},
    "cpp": {"code_size": 16, "hidden_size": 32, "n_steps": 12, "n_columns": 8, "learning_rate": 1e-2},
    "spectral": {"n_neighbors": 8, "n_init": 2},
    "ensc": {"gamma": 3.0, "n_candidates": 20, "tol": 1e-2, "n_init": 2},
    "ssc-omp": {"n_nonzero": 4, "n_init": 2},
    "turtle": {"n_steps": 30},
    "hdbscan": {"min_cluster_size": 5},
    "umap-kmeans": {"n_epochs": 30, "n_init": 2},
}

# Clusterers that need an extra, and its module.
EXTRAS = {spec.name: spec.extra for spec in CLUSTERERS.specs() if spec.extra}
# Its compiler alone takes longer than all other clusterers' checks.
SLOW = {"umap-kmeans"}
INSTALLED = [name for name in CLUSTERERS if name not in EXTRAS or find_spec(EXTRAS[name])]

# Checks of scikit-learn's that a clusterer cannot pass, each with the reason.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "ssc-omp": {"check_clustering": "three blobs in two features are no union of subspaces"},
}


# Greedy codes need few subspaces: where rows vary in every direction, as in blobs and in two features, all write all.
SUBSPACES_ONLY = {"ssc-omp"}

# scikit-learn's checks have rows of noise: no subspaces, then the graph of codes falls apart; and no dense place.
MAY_WARN = SUBSPACES_ONLY | {"hdbscan"}


def make(name: str, **changes: Any) -> Any:
    """Make a clusterer; it gets a number of clusters or a seed only if it takes one."""
    known = CLUSTERERS[name]().get_params()
    return CLUSTERERS[name](**{**SHORT.get(name, {}), **{key: changes[key] for key in changes if key in known}})


def takes(estimator: Any, parameter: str) -> bool:
    """Say whether a clusterer has a parameter."""
    return parameter in estimator.get_params()


def reseeded(estimator: Any, random_state: Any) -> Any:
    """Copy a clusterer with another seed, if it takes one."""
    copy = clone(estimator)
    return copy.set_params(random_state=random_state) if takes(copy, "random_state") else copy


# scikit-learn's checks and these fit matrices of features; what is fitted on pictures (n, h, w, 3) has a contract of
# its own in test_pixel_clusterers.py.
ON_FEATURES = [spec.name for spec in CLUSTERERS.specs() if spec.rows == "features"]


def estimators(**changes: Any) -> Iterator[Any]:
    for name in ON_FEATURES:
        if name in INSTALLED and name not in SLOW:  # for those the checks below have to do
            yield make(name, **changes)


def name_of(estimator: Any) -> str:
    return next(name for name in CLUSTERERS if CLUSTERERS[name] is type(estimator))


@parametrize_with_checks(
    list(estimators(n_clusters=2, random_state=0)),
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(name_of(estimator), {}),
)
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        if name_of(estimator) in MAY_WARN:
            warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def _param(name: str) -> Any:
    marks = [pytest.mark.slow] if name in SLOW else []
    if name not in INSTALLED:
        marks.append(pytest.mark.skip(reason=f"needs {EXTRAS[name]}: the extra {EXTRAS[name]!r}"))
    return pytest.param(name, marks=marks)


@pytest.fixture(params=[_param(name) for name in sorted(ON_FEATURES)])
def estimator(request: pytest.FixtureRequest) -> Any:
    return make(request.param, n_clusters=4, random_state=0)


@pytest.fixture
def numbered(estimator: Any) -> Any:
    """Return a clusterer that takes a number of clusters."""
    if not takes(estimator, "n_clusters"):
        pytest.skip(f"{name_of(estimator)} finds the number of clusters itself")
    return estimator


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(400, n_features=16, centers=4, cluster_std=1.0, center_box=(-6, 6), random_state=0)
    return X.astype(np.float32), y


def test_finds_blobs(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = blobs
    if name_of(estimator) in SUBSPACES_ONLY:
        y = np.arange(400) % 4
        planes = np.random.default_rng(0).normal(size=(4, 3, 40))
        X = np.einsum("nk,nkd->nd", np.random.default_rng(1).normal(size=(400, 3)), planes[y])
    assert clustering_accuracy(y, estimator.fit(X).labels_) >= 0.95


def test_labels_have_the_promised_form(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    labels = estimator.fit_predict(blobs[0])
    assert labels.dtype == np.int64
    assert labels.shape == (400,)
    assert labels.min() >= (0 if takes(estimator, "n_clusters") else NOISE)
    assert labels.max() < 4
    np.testing.assert_array_equal(labels, estimator.labels_)


def test_predict_agrees_with_labels_on_any_share_of_the_rows(
    estimator: Any, blobs: tuple[np.ndarray, np.ndarray]
) -> None:
    X, _ = blobs
    labels = estimator.fit(X).labels_
    np.testing.assert_array_equal(estimator.predict(X), labels)
    np.testing.assert_array_equal(estimator.predict(X[::-1])[::-1], labels)
    one_by_one = np.concatenate([estimator.predict(X[i : i + 1]) for i in range(40)])
    np.testing.assert_array_equal(one_by_one, labels[:40])


def test_same_seed_same_labels_other_generators_untouched(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 the caller's
    first = clone(estimator).fit(X).labels_
    torch.rand(3)
    second = clone(estimator).fit(X).labels_
    np.testing.assert_array_equal(first, second)
    torch.random.set_rng_state(torch_state)
    reseeded(estimator, None).fit(X)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # noqa: NPY002 the caller's


def test_a_generator_may_be_the_seed(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    labels = [reseeded(estimator, np.random.RandomState(7)).fit(X).labels_ for _ in range(2)]
    np.testing.assert_array_equal(*labels)


def test_fitting_twice_is_a_fresh_fit(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    expected = clone(estimator).fit(X).labels_
    again = clone(estimator).fit(X[:100, :5] * 3 + 1).fit(X)
    np.testing.assert_array_equal(again.labels_, expected)
    assert again.n_features_in_ == X.shape[1]


def test_a_failed_fit_leaves_what_was_there(numbered: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    labels = numbered.fit(X).labels_.copy()
    with pytest.raises(ValueError, match="n_clusters"):
        numbered.fit(X[:3])
    np.testing.assert_array_equal(numbered.labels_, labels)


# Those whose `fit` is whole or nothing by their base class; the others follow.
WHOLE = [name for name in INSTALLED if issubclass(CLUSTERERS[name], Clusterer) and is_dataclass(CLUSTERERS[name])]


class FaultError(Exception):
    """Raised by the test where a fit would have succeeded."""


def fail_at_write(monkeypatch: pytest.MonkeyPatch, estimator: Any, number: float) -> list[str]:
    """Let the `number`-th attribute that is set on an estimator raise; return the names of those set before."""
    names: list[str] = []

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if self is estimator:
            names.append(name)
            if len(names) == number:
                raise FaultError(name)
        object.__setattr__(self, name, value)

    monkeypatch.setattr(type(estimator), "__setattr__", set_attribute, raising=False)
    return names


def rows_for(name: str) -> np.ndarray:
    """Return what a clusterer is fitted on: rows of features, or images."""
    if name in ON_FEATURES:
        return np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    return np.random.default_rng(0).integers(0, 200, (24, 16, 16, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # noise has no clusters
def test_a_fault_in_the_last_step_leaves_the_old_fit_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All results are written, but for the last: what the estimator knew before must be there, and nothing else."""
    X = rows_for(name)
    estimator = make(name, n_clusters=2, random_state=0, n_epochs=1)
    with monkeypatch.context() as patch:
        written = fail_at_write(patch, estimator, math.inf)
        estimator.fit(X)
    before, labels = dict(vars(estimator)), estimator.predict(X)
    others = X[::-1][: len(X) // 2]
    with monkeypatch.context() as patch:
        fail_at_write(patch, estimator, len(written))
        with pytest.raises(FaultError):
            estimator.fit(others)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[key] is before[key] for key in before)
    np.testing.assert_array_equal(estimator.predict(X), labels)


@pytest.mark.parametrize("name", WHOLE)
def test_a_fault_in_a_first_fit_leaves_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = make(name, n_clusters=2, random_state=0)
    before = dict(vars(estimator))
    fail_at_write(monkeypatch, estimator, 2)  # the first is the width of a row
    with pytest.raises(FaultError):
        estimator.fit(rows_for(name))
    assert vars(estimator) == before


def test_float64_lists_and_read_only_rows_are_accepted(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = blobs
    expected = clone(estimator).fit(X).labels_
    np.testing.assert_array_equal(clone(estimator).fit(X.astype(np.float64)).labels_, expected)
    np.testing.assert_array_equal(clone(estimator).fit(X.tolist()).labels_, expected)
    frozen = X.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(clone(estimator).fit(frozen).labels_, expected)
    np.testing.assert_array_equal(frozen, X)


@pytest.mark.parametrize("n_clusters", [0, -1, 401])
def test_says_how_many_clusters_are_possible(
    numbered: Any, blobs: tuple[np.ndarray, np.ndarray], n_clusters: int
) -> None:
    with pytest.raises(ValueError, match=f"n_clusters is {n_clusters}"):
        numbered.set_params(n_clusters=n_clusters).fit(blobs[0])


@pytest.mark.parametrize("n_clusters", [2.0, "2", True, None])
def test_a_number_of_clusters_is_a_whole_number(
    numbered: Any, blobs: tuple[np.ndarray, np.ndarray], n_clusters: Any
) -> None:
    with pytest.raises(TypeError, match="n_clusters is"):
        numbered.set_params(n_clusters=n_clusters).fit(blobs[0])


def test_one_cluster_has_everything(numbered: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    assert (numbered.set_params(n_clusters=1).fit(blobs[0]).labels_ == 0).all()


def test_its_diagnostics_are_plain_data(estimator: Any, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    import json

    diagnostics = getattr(estimator.fit(blobs[0]), "diagnostics_", {})
    assert json.loads(json.dumps(diagnostics)) == diagnostics


@pytest.mark.parametrize("name", sorted(CLUSTERERS))
def test_what_draws_takes_a_seed_and_what_has_no_number_says_so(name: str) -> None:
    known = CLUSTERERS[name]().get_params()
    assert ("n_clusters" in known) != CLUSTERERS.spec(name).finds_number
    assert ("random_state" in known) == CLUSTERERS.spec(name).is_seeded


@pytest.mark.parametrize("name", sorted(CLUSTERERS))
def test_its_row_says_what_is_true(name: str) -> None:
    spec, kind = CLUSTERERS.spec(name), CLUSTERERS[name]
    assert spec.title
    assert set(spec.takes) == set(signature(kind.fit).parameters) - {"self", "X", "y"}
    assert (spec.rows == "images") == get_tags(kind()).input_tags.three_d_array
    assert set(spec.params) <= set(kind().get_params())
    # `transform` of a method with centers measures distances to them, as in scikit-learn; one on images has features.
    assert spec.represents == (hasattr(kind, "transform") and name not in {"kmeans", "mmdc"})
