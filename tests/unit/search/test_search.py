"""Searching rows: exact against a naive twin, ties, blocks, cut-offs; the approximate engine against the exact one."""

from pathlib import Path

import numpy as np
import pytest

from covey.errors import MissingExtraError, UnknownNameError
from covey.search import SEARCH_ENGINES, ExactSearch, Hits, cluster_center, search_recall, search_rows


@pytest.fixture(scope="module", name="X")
def _rows() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(400, 24)).astype(np.float32)


def naive(X: np.ndarray, query: np.ndarray) -> np.ndarray:
    X, query = X.astype(np.float64), query.astype(np.float64)
    return X @ query / np.linalg.norm(X, axis=1) / np.linalg.norm(query)


def test_hits_are_those_of_a_naive_twin(X: np.ndarray) -> None:
    for hits, query in zip(search_rows(X, X[:5] + 0.1, n_hits=30), X[:5] + 0.1, strict=True):
        cosines = naive(X, query)
        np.testing.assert_array_equal(hits.rows, np.argsort(-cosines)[:30])
        np.testing.assert_allclose(hits.scores, np.sort(cosines)[::-1][:30], atol=1e-6)


def test_blocks_and_memory_maps_do_not_show(X: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "rows.npy", X)
    whole = search_rows(X, X[:3], n_hits=25)
    monkeypatch.setattr("covey.search._exact_search._BLOCK_VALUES", 27 * 10)
    blocks = search_rows(np.load(tmp_path / "rows.npy", mmap_mode="r"), X[:3], n_hits=25)
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_of_equal_rows_the_lower_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.tile(np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32), (50, 1))
    for values in (2**24, 12):
        monkeypatch.setattr("covey.search._exact_search._BLOCK_VALUES", values)
        assert search_rows(X, [1.0, 0.0], n_hits=4)[0].rows.tolist() == [1, 3, 5, 7]


def test_only_some_rows_are_searched(X: np.ndarray) -> None:
    rows = np.array([300, 7, 7, 100])
    hits = search_rows(X, X[0], n_hits=10, rows=rows)[0]
    assert sorted(hits.rows) == [7, 100, 300]
    assert search_rows(X, X[0], rows=np.empty(0, dtype=np.int64))[0].rows.size == 0
    with pytest.raises(ValueError, match="rows names 0 to 400; there are rows 0 to 399"):
        search_rows(X, X[0], rows=np.array([0, 400]))


def test_a_cut_off_may_leave_nothing(X: np.ndarray) -> None:
    hits = search_rows(X, X[3], n_hits=50, min_score=0.4)[0]
    assert 0 < len(hits.rows) < 50
    assert hits.rows[0] == 3
    assert (hits.scores >= 0.4).all()
    assert search_rows(X, -X[3], n_hits=5, min_score=0.99)[0].rows.size == 0


def test_rows_of_zeros_score_nothing() -> None:
    X = np.array([[0, 0], [-1, 0]], dtype=np.float32)
    hits = search_rows(X, [1, 0])[0]
    assert hits.rows.tolist() == [0, 1]
    assert hits.scores.tolist() == [0.0, -1.0]


def test_the_centre_is_the_mean_of_unit_rows(X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(400) % 3
    expected = (X[labels == 1] / np.linalg.norm(X[labels == 1], axis=1, keepdims=True)).mean(axis=0)
    monkeypatch.setattr("covey.search._exact_search._BLOCK_VALUES", 24 * 7)
    np.testing.assert_allclose(cluster_center(X, labels, 1), expected, atol=1e-6)
    with pytest.raises(ValueError, match="Cluster 9 has no row; there are 0, 1, 2"):
        cluster_center(X, labels, 9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_hits": 0}, "n_hits is 0"),
        ({"n_hits": True}, "n_hits is True"),
        ({"min_score": 1.5}, "min_score is 1.5"),
        ({"queries": np.ones(3)}, "widths must be equal"),
        ({"queries": np.full(24, np.nan)}, "queries holds NaN"),
    ],
)
def test_what_is_refused(X: np.ndarray, change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        search_rows(X, **({"queries": X[0]} | change))


def test_rows_that_are_no_numbers_are_told(X: np.ndarray) -> None:
    bad = X.copy()
    bad[5, 0] = np.inf
    with pytest.raises(ValueError, match="hold NaN or infinity"), np.errstate(invalid="ignore"):
        search_rows(bad, X[0])


def test_recall_counts_what_was_found() -> None:
    def hits(*rows: int) -> Hits:
        return Hits(np.array(rows, dtype=np.int64), np.zeros(len(rows), dtype=np.float32))

    assert search_recall([hits(1, 2), hits(3, 4)], [hits(2, 1), hits(9, 3)]) == 0.75
    assert search_recall([hits()], [hits()]) == 1.0


def test_unknown_engines_are_told(X: np.ndarray) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'usearch'"):
        search_rows(X, X[0], engine="usaerch")


def test_a_missing_package_is_told(X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.registry.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'covey\[ann\]'"):
        search_rows(X, X[0], engine="usearch")


def test_an_index_comes_back_from_bytes(X: np.ndarray) -> None:
    pytest.importorskip("usearch")
    engine = SEARCH_ENGINES["usearch"](X)
    again = SEARCH_ENGINES["usearch"].from_bytes(X, engine.to_bytes())
    for one, other in zip(engine.search(X[:5], 10), again.search(X[:5], 10), strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
    assert engine.measure_recall(10) >= 0.95
    assert ExactSearch(X).search(X[:1], 3)[0].rows[0] == 0
