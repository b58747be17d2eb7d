"""Approximate search with the package usearch: a graph that is built once and then searched in milliseconds."""

from typing import Any, Self

import numpy as np

from covey._arrays import iter_chunks, l2_normalize, top_places
from covey.registry import require
from covey.search._exact_search import ExactSearch, Hits, search_recall
from covey.types import FloatArray

_CONNECTIVITY, _EF_CONSTRUCTION, _EF_SEARCH = 32, 200, 200
_CHUNK_ROWS = 16384
_N_PROBES = 100


class USearch:
    """Search a graph of near rows instead of all rows (HNSW).

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows, of any length.
    index : bytes, optional
        What `to_bytes` gave for the same rows; built anew if not given.

    Notes
    -----
    Malkov and Yashunin 2018, arXiv:1603.09320, with 32 links a row and lists of 200; vectors are kept in half
    precision, scores are computed again from the rows. It may miss rows: `measure_recall` says how many.
    """

    def __init__(self, X: FloatArray, *, index: bytes | None = None) -> None:
        usearch = require("usearch.index", extra="ann", for_="The search engine 'usearch'")
        self._X = X
        self._index: Any = usearch.Index(
            ndim=X.shape[1],
            metric="cos",
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EF_CONSTRUCTION,
            expansion_search=_EF_SEARCH,
        )
        if index is not None:
            self._index.load(index)
            return
        for block in iter_chunks(len(X), _CHUNK_ROWS):
            unit = l2_normalize(np.asarray(X[block], dtype=np.float32))
            # One thread: with several, the graph depends on which comes first, and hits would differ from run to run.
            self._index.add(np.arange(block.start, block.stop), unit, threads=1)

    @classmethod
    def from_bytes(cls, X: FloatArray, index: bytes) -> Self:
        """Make an engine of an index that was built before; see `to_bytes`."""
        return cls(X, index=index)

    def to_bytes(self) -> bytes:
        """Return the index, to be kept beside the rows."""
        return bytes(self._index.save())

    def search(self, queries: FloatArray, n_hits: int) -> list[Hits]:
        """Return the hits of each query; see `ExactSearch.search`.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, d), dtype float32
            Vectors in the rows' space.
        n_hits : int
            The most hits of a query.

        Returns
        -------
        hits : list of Hits
            Scores are exact; rows may be missing.
        """
        hits = []
        for query in l2_normalize(queries):
            rows = np.sort(np.asarray(self._index.search(query, min(n_hits, len(self._X))).keys, dtype=np.int64))
            scores = l2_normalize(np.asarray(self._X[rows], dtype=np.float32)) @ query
            order = top_places(scores, n_hits)
            hits.append(Hits(rows[order], np.clip(scores[order], -1, 1)))
        return hits

    def measure_recall(self, n_hits: int = 20) -> float:
        """Measure the share of the true hits that is found, with rows of the collection as queries.

        Parameters
        ----------
        n_hits : int, default=20
            Hits of a query.

        Returns
        -------
        recall : float
            In [0, 1], over at most 100 rows, evenly spaced.
        """
        probes = np.unique(np.linspace(0, len(self._X) - 1, min(_N_PROBES, len(self._X))).astype(np.int64))
        queries = np.asarray(self._X[probes], dtype=np.float32)
        return search_recall(ExactSearch(self._X).search(queries, n_hits), self.search(queries, n_hits))
