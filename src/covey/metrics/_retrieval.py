"""How good is a search? The classes of what was found, beside the class of what was asked with."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covey.types import FloatArray

__all__ = ["RetrievalScores", "retrieval_scores"]


class RetrievalScores(NamedTuple):
    """Scores of searches of k hits each, in [0, 1], larger is better.

    Attributes
    ----------
    precision : float
        precision@k: mean share of the hits that are of the query's class.
    recall : float
        recall@k by class: mean share of the query's class that was found; at most k divided by the size of the class.
    hit_rate : float
        Share of the queries with at least one hit of their class, which is called recall@k in metric learning.
    classes : ndarray of shape (n_classes,)
        Classes of the queries, sorted.
    class_precision, class_recall : ndarray of shape (n_classes,), dtype float32
        The same means over the queries of each class; `precision` and `recall` are the means over queries.
    """

    precision: float
    recall: float
    hit_rate: float
    classes: NDArray[Any]
    class_precision: FloatArray
    class_recall: FloatArray


def retrieval_scores(labels_found: Any, labels_query: Any, labels_all: Any) -> RetrievalScores:
    """Score searches whose hits and queries have known classes.

    Parameters
    ----------
    labels_found : array-like of shape (n_queries, k)
        Class of each hit, best first. A query must not find itself.
    labels_query : array-like of shape (n_queries,)
        Class of each query.
    labels_all : array-like of shape (n_rows,)
        Classes of the rows that were searched, the query's own row left out or not: where it is among them, its class
        counts one row more than there is to find.

    Returns
    -------
    scores : RetrievalScores
        Means over queries and by class.

    Raises
    ------
    ValueError
        If there is no query, no hit, or a row of `labels_found` for each query is missing.

    Notes
    -----
    CPP [1]_ shows 64 hits a query (section 4.2 and appendix G) without a number; precision@64 is the number.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR
       2024, arXiv:2306.05272.

    Examples
    --------
    >>> scores = retrieval_scores([["cat", "cat"], ["dog", "cat"]], ["cat", "dog"], ["cat", "cat", "dog", "dog"])
    >>> scores.precision, scores.recall, scores.hit_rate
    (0.75, 0.75, 1.0)
    """
    found, query, everything = np.asarray(labels_found), np.asarray(labels_query), np.asarray(labels_all)
    if found.ndim != 2 or not found.size or query.shape != found.shape[:1] or everything.ndim != 1:
        raise ValueError(
            f"labels_found has shape {found.shape}, labels_query {query.shape} and labels_all {everything.shape}; they "
            "must be (n_queries, k), (n_queries,) and (n_rows,), with at least one query and one hit."
        )
    is_right = found == query[:, None]
    classes, places = np.unique(query, return_inverse=True)
    n_queries = np.bincount(places)
    n_there = np.array([np.count_nonzero(everything == name) for name in classes])
    precision = is_right.mean(axis=1)
    recall = is_right.sum(axis=1) / np.maximum(n_there[places], 1)
    return RetrievalScores(
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        hit_rate=float(is_right.any(axis=1).mean()),
        classes=classes,
        class_precision=(np.bincount(places, precision) / n_queries).astype(np.float32),
        class_recall=(np.bincount(places, recall) / n_queries).astype(np.float32),
    )
