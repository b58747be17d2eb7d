"""What every registered search engine promises."""

import numpy as np
import pytest

from covey.errors import MissingExtraError
from covey.search import SEARCH_ENGINES, ExactSearch, search_recall


@pytest.fixture(scope="module", name="X")
def _rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)


@pytest.fixture(params=sorted(SEARCH_ENGINES))
def engine(request: pytest.FixtureRequest, X: np.ndarray):
    try:
        return SEARCH_ENGINES[request.param](X)
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_most_of_the_true_hits_are_found(engine, X: np.ndarray) -> None:
    queries = X[:50] + 0.05
    assert search_recall(ExactSearch(X).search(queries, 10), engine.search(queries, 10)) >= 0.95


def test_hits_are_in_order_and_scored_exactly(engine, X: np.ndarray) -> None:
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    for row, hits in enumerate(engine.search(X[:10], 20)):
        assert len(hits.rows) == len(set(hits.rows.tolist())) == 20
        assert (np.diff(hits.scores) <= 0).all()
        assert hits.rows[0] == row
        np.testing.assert_allclose(hits.scores, unit[hits.rows] @ unit[row], atol=1e-5)


def test_the_same_rows_give_the_same_hits(engine, X: np.ndarray) -> None:
    again = type(engine)(X)
    for one, other in zip(engine.search(X[:20], 10), again.search(X[:20], 10), strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)


def test_more_hits_than_rows_give_all_rows(X: np.ndarray, engine) -> None:
    assert len(type(engine)(X[:7]).search(X[:1], 20)[0].rows) == 7
