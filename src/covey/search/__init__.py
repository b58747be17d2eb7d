"""From a query vector to ranked hits (arrays only): `search_rows`, over all rows or some, exactly or approximately.

What a query is (an image, a text, a cluster) is the caller's business. `SEARCH_ENGINES` maps names to classes that are
made of the rows to search; the exact one is the oracle for all others.
"""

from typing import Any

import numpy as np

from covey._arrays import check_features
from covey.search._exact_search import ExactSearch, Hits, cluster_center, search_recall
from covey.search._registry import SEARCH_ENGINES
from covey.types import FloatArray, IntArray

__all__ = ["SEARCH_ENGINES", "ExactSearch", "Hits", "cluster_center", "search_recall", "search_rows"]


def search_rows(
    X: FloatArray,
    queries: Any,
    *,
    n_hits: int = 20,
    min_score: float | None = None,
    rows: IntArray | None = None,
    engine: str = "exact",
) -> list[Hits]:
    """Find the rows that are most similar to each query.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows to search; a memory map is read block by block.
    queries : array-like of shape (n_queries, d) or (d,)
        One or more vectors of the rows' space.
    n_hits : int, default=20
        The most hits of a query.
    min_score : float, optional
        In [-1, 1]; hits with a smaller cosine are left out, so that a query may have none.
    rows : ndarray of int, optional
        Search these rows of `X` only, always exactly.
    engine : str, default="exact"
        A name in `SEARCH_ENGINES`.

    Returns
    -------
    hits : list of Hits
        One for each query, the most similar first; of equal ones the lower row first.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, or `n_hits` or `min_score` is not allowed.
    UnknownNameError
        If the engine is not registered.
    MissingExtraError
        If its package is not installed.

    Examples
    --------
    >>> X = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    >>> search_rows(X, [1, 0.1], n_hits=2)[0].rows
    array([0, 2])
    """
    queries = check_queries(queries, X)
    if isinstance(n_hits, bool) or not hasattr(n_hits, "__index__") or n_hits < 1:
        raise ValueError(f"n_hits is {n_hits!r}; it must be a whole number of at least 1.")
    if min_score is not None and not -1 <= min_score <= 1:
        raise ValueError(f"min_score is {min_score}; a cosine lies in [-1, 1].")
    found: list[Hits] = (
        SEARCH_ENGINES[engine](X).search(queries, int(n_hits))
        if rows is None
        else ExactSearch(X).search(queries, int(n_hits), rows=rows)
    )
    return found if min_score is None else [hits.at_least(min_score) for hits in found]


def check_queries(queries: Any, X: FloatArray) -> FloatArray:
    """Return queries as a matrix in the rows' space; `ValueError` if they are not."""
    array = np.asarray(queries)
    checked = check_features(array[None] if array.ndim == 1 else array, name="queries")
    if X.ndim != 2 or checked.shape[1] != X.shape[1]:
        raise ValueError(f"queries has shape {checked.shape}, the rows have shape {X.shape}; widths must be equal.")
    return checked
