"""What every registered clusterer does with hard or wrong rows: a clear error, or a defined and valid result."""

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from covey.cluster import Agglomerative, KMeans, SpectralClustering
from covey.errors import ConvergenceError
from covey.types import NOISE


def _contract() -> ModuleType:
    spec = importlib.util.spec_from_file_location("clusterers_contract", Path(__file__).with_name("test_clusterers.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONTRACT = _contract()  # for its short settings
FEW_STEPS = 6  # what is tested here does not hang on what was learned
NAMES = [CONTRACT._param(name) for name in sorted(CONTRACT.ON_FEATURES)]
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(30, 6)).astype(np.float32)
DUPLICATES = np.repeat(ROWS[:3], 10, axis=0)
# Three groups without a neighbour in common: the graphs of neighbours and of codes fall apart.
APART = np.zeros((45, 9), dtype=np.float32)
for group in range(3):
    APART[15 * group : 15 * group + 15, 3 * group : 3 * group + 3] = RNG.normal(5, 1, size=(15, 3))


def make(name: str, n_clusters: int) -> Any:
    """Make a clusterer whose fit takes next to no time."""
    estimator = CONTRACT.make(name, n_clusters=n_clusters, random_state=0)
    return estimator.set_params(n_steps=FEW_STEPS) if "n_steps" in estimator.get_params() else estimator


def fitted(name: str, X: np.ndarray, n_clusters: int) -> tuple[Any, list[str]]:
    """Fit, check what must hold of any result, and return the estimator and what it warned of.

    Nothing but a ConvergenceWarning may be warned of: a RuntimeWarning of NumPy's is arithmetic that went wrong.
    """
    estimator = make(name, n_clusters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", ConvergenceWarning)
        labels = estimator.fit(X).labels_
        np.testing.assert_array_equal(estimator.predict(X), labels)
    assert labels.shape == (len(X),)
    takes_number = "n_clusters" in estimator.get_params()
    assert (0 if takes_number else NOISE) <= labels.min()
    assert labels.max() < (n_clusters if takes_number else len(X))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(estimator.predict_proba(X).sum(axis=1), 1, atol=1e-5)
    messages = [str(warning.message) for warning in caught]
    if takes_number and len(np.unique(labels)) < n_clusters:  # found less than was asked for: it has to say so
        assert any("clusters" in message for message in messages)
    return estimator, messages


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_no_number_is_refused_by_fit_and_predict(name: str, value: float) -> None:
    X = ROWS.astype(np.float64)
    X[7, 2] = value
    estimator = make(name, 2)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        estimator.fit(X)
    assert not hasattr(estimator, "labels_")


@pytest.mark.parametrize("name", NAMES)
def test_predict_refuses_nan(name: str) -> None:
    estimator, _ = fitted(name, DUPLICATES, 3)
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(np.full((1, 6), np.nan))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [2.0, 0.0])
def test_constant_rows_are_one_cluster_and_it_says_so(name: str, value: float) -> None:
    X = np.full((30, 6), value, dtype=np.float32)
    if value == 0 and name in {"ensc", "ssc-omp"}:  # a row of zeros has no code
        with pytest.raises(ConvergenceError, match="all rows are zero"):
            fitted(name, X, 3)
        return
    estimator, messages = fitted(name, X, 3)
    assert len(np.unique(estimator.labels_)) == 1
    assert messages


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_have_equal_labels_and_are_no_more_clusters_than_rows(name: str) -> None:
    estimator, _ = fitted(name, DUPLICATES, 5)
    groups = estimator.labels_.reshape(3, 10)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups)) <= 3


@pytest.mark.parametrize("name", NAMES)
def test_fewer_rows_than_features(name: str) -> None:
    fitted(name, np.random.default_rng(1).normal(size=(8, 300)).astype(np.float32), 3)


@pytest.mark.parametrize("name", NAMES)
def test_more_clusters_than_rows_are_refused(name: str) -> None:
    estimator = make(name, 31)
    if "n_clusters" not in estimator.get_params():
        pytest.skip("finds the number of clusters itself")
    with pytest.raises(ValueError, match="n_clusters is 31, but X has only 30 rows"):
        estimator.fit(ROWS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_clusters", [1, 9])
def test_one_cluster_and_as_many_as_rows(name: str, n_clusters: int) -> None:
    estimator, messages = fitted(name, ROWS[:9], n_clusters)
    if n_clusters == 1 and "n_clusters" in estimator.get_params():
        assert (estimator.labels_ == 0).all()
        assert not messages


@pytest.mark.parametrize("name", NAMES)
def test_one_row(name: str) -> None:
    if name == "cpp":  # a rate of one row has no meaning
        with pytest.raises(ValueError, match="at least 2"):
            fitted(name, ROWS[:1], 1)
        return
    estimator, _ = fitted(name, ROWS[:1], 1)
    assert estimator.labels_[0] in ((0,) if "n_clusters" in estimator.get_params() else (NOISE,))


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_in_parts(name: str) -> None:
    """As many parts as clusters are the clusters; more parts than clusters are told of, or no matter."""
    estimator, _ = fitted(name, APART, 3)
    parts = estimator.labels_.reshape(3, 15)
    if name in {"spectral", "ensc", "ssc-omp", "agglomerative"}:
        assert (parts == parts[:, :1]).all()
        assert len(np.unique(parts)) == 3
    fitted(name, APART, 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_rows_whose_squares_leave_float32(name: str, factor: float) -> None:
    if name == "kmeans":
        with pytest.raises(ValueError, match="Scale X"):
            fitted(name, ROWS * np.float32(factor), 3)
        return
    fitted(name, ROWS * np.float32(factor), 3)


def test_kmeans_refuses_new_rows_whose_squares_leave_float32() -> None:
    estimator = KMeans(3, random_state=0).fit(ROWS)
    with pytest.raises(ValueError, match="Scale X"):
        estimator.predict(ROWS * np.float32(1e30))


def test_more_parts_than_clusters_are_told_of() -> None:
    with pytest.warns(ConvergenceWarning, match="falls into 3 parts"):
        SpectralClustering(2, n_neighbors=4, random_state=0).fit(APART)


@pytest.mark.parametrize("linkage", ["ward", "average", "complete"])
def test_merging_along_a_graph_in_parts_ties_it_together(linkage: str) -> None:
    estimator = Agglomerative(2, n_neighbors=4, linkage=linkage).fit(APART)
    assert estimator.diagnostics_["n_parts"] == 3
    assert len(np.unique(estimator.labels_)) == 2
    finer = Agglomerative(3, n_neighbors=4, linkage=linkage).fit(APART).labels_.reshape(3, 15)
    assert (finer == finer[:, :1]).all()
