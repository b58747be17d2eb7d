"""Exact search by blocks of matrix products, in memory that does not grow with the number of rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from covey._arrays import iter_blocks, l2_normalize, top_places
from covey.types import FloatArray, IntArray

_BLOCK_VALUES = 2**24
"""Values of the rows and scores that are held at once: 64 MiB of float32."""


class Hits(NamedTuple):
    """The hits of one query, the most similar first.

    Attributes
    ----------
    rows : ndarray of shape (n_hits,), dtype int64
        Rows that were found.
    scores : ndarray of shape (n_hits,), dtype float32
        Their cosines with the query, in [-1, 1].
    """

    rows: IntArray
    scores: FloatArray

    def at_least(self, min_score: float) -> "Hits":
        """Return the hits whose score is at least `min_score`.

        Parameters
        ----------
        min_score : float
            Least cosine, in [-1, 1].

        Returns
        -------
        hits : Hits
            In the same order.
        """
        n_kept = int(np.count_nonzero(self.scores >= min_score))
        return Hits(self.rows[:n_kept], self.scores[:n_kept])


class ExactSearch:
    """Compare a query with every row.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows, of any length; a row of zeros has cosine 0 with everything. A memory map may be larger than memory.

    Notes
    -----
    O(n · d) for each query, at the speed at which the rows can be read. A score may differ in its last digit with the
    number of queries at once, since the order of a sum does.
    """

    def __init__(self, X: FloatArray) -> None:
        self._X = X

    def search(self, queries: FloatArray, n_hits: int, *, rows: IntArray | None = None) -> list[Hits]:
        """Return the hits of each query.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, d), dtype float32
            Vectors in the rows' space.
        n_hits : int
            The most hits of a query.
        rows : ndarray of int, optional
            Search these only; repeats count once.

        Returns
        -------
        hits : list of Hits
            One for each query; of equal scores the lower row comes first.

        Raises
        ------
        ValueError
            If a row holds NaN or infinity, or `rows` names one that is not there.
        """
        unit = l2_normalize(queries)
        chosen = np.arange(len(self._X)) if rows is None else _check_rows(rows, len(self._X))
        found = [Hits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)) for _ in unit]
        for block in iter_blocks(len(chosen), self._X.shape[1] + len(unit), _BLOCK_VALUES):
            # Cosines of the queries with a block of rows, (n_queries, n_rows of the block).
            part = np.asarray(self._X[block] if rows is None else self._X[chosen[block]], dtype=np.float32)
            lengths = np.sqrt(np.einsum("ij,ij->i", part, part))
            scores = unit @ part.T / np.where(lengths > 0, lengths, 1)
            if not np.isfinite(scores).all():
                raise ValueError(
                    f"Rows {block.start} to {block.stop} hold NaN or infinity; correct them or leave them out."
                )
            found = [_merge(hits, line, chosen[block], n_hits) for hits, line in zip(found, scores, strict=True)]
        return [Hits(hits.rows, np.clip(hits.scores, -1, 1)) for hits in found]


def cluster_center(X: FloatArray, labels: IntArray, label: int) -> FloatArray:
    """Return the mean of a cluster's unit rows, for a search by cluster.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows.
    labels : ndarray of shape (n,), dtype int64
        Their clusters.
    label : int
        The cluster.

    Returns
    -------
    center : ndarray of shape (d,), dtype float32
        Not of unit length: its length says how similar the rows are.

    Raises
    ------
    ValueError
        If the cluster has no row.
    """
    rows = np.flatnonzero(labels == label)
    if not len(rows):
        raise ValueError(f"Cluster {label} has no row; there are {', '.join(map(str, np.unique(labels)[:20]))}.")
    total = np.zeros(X.shape[1])
    for block in iter_blocks(len(rows), X.shape[1], _BLOCK_VALUES):
        total += l2_normalize(np.asarray(X[rows[block]], dtype=np.float32)).sum(axis=0, dtype=np.float64)
    return np.asarray(total / len(rows), dtype=np.float32)


def search_recall(exact: Sequence[Hits], approximate: Sequence[Hits]) -> float:
    """Return which share of the exact hits an approximate search found.

    Parameters
    ----------
    exact, approximate : sequence of Hits
        Of the same queries, in the same order.

    Returns
    -------
    recall : float
        In [0, 1]; 1 if there was nothing to find.

    Raises
    ------
    ValueError
        If there are more queries on one side.
    """
    n_wanted = sum(len(hits.rows) for hits in exact)
    n_found = sum(np.isin(ours.rows, theirs.rows).sum() for ours, theirs in zip(exact, approximate, strict=True))
    return float(n_found / n_wanted) if n_wanted else 1.0


def _merge(hits: Hits, scores: FloatArray, rows: IntArray, n_hits: int) -> Hits:
    """Merge the hits with those of a block, whose `rows` ascend and lie above all rows of `hits`."""
    if len(hits.rows) == n_hits:  # an equal score comes later, so it cannot be a hit any more
        better = np.flatnonzero(scores > hits.scores[-1])
        rows, scores = rows[better], scores[better]
    merged = np.concatenate([hits.scores, scores])
    best = top_places(merged, n_hits)
    return Hits(np.concatenate([hits.rows, rows])[best], merged[best])


def _check_rows(rows: IntArray, n_rows: int) -> IntArray:
    chosen = np.unique(np.asarray(rows, dtype=np.int64))
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < n_rows:
        raise ValueError(f"rows names {chosen[0]} to {chosen[-1]}; there are rows 0 to {n_rows - 1}.")
    return chosen
