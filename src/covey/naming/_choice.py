"""From scores of words to the words for each cluster: all clusters at once, and no words twice."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from covey.types import ClusterName, FloatArray, IntArray

_TIE: Final = 1e-9
"""What a place further down in the order of a cluster's words costs: it settles ties, and nothing else."""


class Candidates(NamedTuple):
    """A cluster's words, best first."""

    words: IntArray  # (n,) places in the vocabulary
    scores: FloatArray  # (n,) in (0, 1], descending
    is_fit: NDArray[np.bool_]  # (n,) which of them may be its name


def rank_words(words: IntArray, scores: FloatArray, is_fit: NDArray[np.bool_]) -> Candidates:
    """Order the words that score above 0, best first; of equal scores the word that comes first in the vocabulary."""
    kept = scores > 0
    words, scores, is_fit = words[kept], scores[kept], is_fit[kept]
    order = np.lexsort((words, -scores))
    return Candidates(words[order], np.minimum(scores[order], 1.0), is_fit[order])


def assign_names(
    labels: IntArray, candidates: Sequence[Candidates], vocabulary: Sequence[str], n_runners_up: int
) -> list[ClusterName]:
    """Give each cluster a word of its own, or none, so that the sum of their scores is as large as it can be.

    Parameters
    ----------
    labels : ndarray of shape (k,), dtype int64
        The clusters.
    candidates : sequence of Candidates
        Their words.
    vocabulary : sequence of str
        All words.
    n_runners_up : int
        Further words to keep of each cluster, fit or not.

    Returns
    -------
    names : list of ClusterName
        In the order of the labels. A cluster without a word has the name ``""`` and the score 0.
    """
    places = _match(candidates)
    names = []
    for label, found, place in zip(labels.tolist(), candidates, places, strict=True):
        rest = [i for i in range(len(found.words)) if i != place][:n_runners_up]
        names.append(
            ClusterName(
                label=label,
                name=vocabulary[int(found.words[place])] if place is not None else "",
                score=float(found.scores[place]) if place is not None else 0.0,
                runners_up=tuple(vocabulary[int(found.words[i])] for i in rest),
                runner_up_scores=tuple(float(found.scores[i]) for i in rest),
            )
        )
    return names


def _match(candidates: Sequence[Candidates]) -> list[int | None]:
    """Return for each cluster the place of its word among its candidates, None for none.

    Maximum weight matching of clusters and words (Kuhn 1955; solved by Jonker and Volgenant 1987 for sparse weights).
    Beside the words each cluster has a column of its own that scores 0 and stands for no name, so that a full matching
    exists. Of a cluster's fit words only the k best can matter: k - 1 others are taken by the other clusters at most.
    """
    k = len(candidates)
    if not k:
        return []
    fit = [np.flatnonzero(found.is_fit)[:k] for found in candidates]
    columns = np.unique(np.concatenate([found.words[places] for found, places in zip(candidates, fit, strict=True)]))
    rows, cols, costs = [np.arange(k)], [len(columns) + np.arange(k)], [np.full(k, 2.0)]
    for row, (found, places) in enumerate(zip(candidates, fit, strict=True)):
        rows.append(np.full(len(places), row))
        cols.append(np.searchsorted(columns, found.words[places]))
        costs.append(2.0 - found.scores[places] + _TIE * np.arange(len(places)))
    entries = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(cols)))
    matched, taken = min_weight_full_bipartite_matching(csr_array(entries, shape=(k, len(columns) + k)))
    result: list[int | None] = [None] * k
    for row, column in zip(matched.tolist(), taken.tolist(), strict=True):
        if column < len(columns):
            result[row] = int(np.flatnonzero(candidates[row].words == columns[column])[0])
    return result
