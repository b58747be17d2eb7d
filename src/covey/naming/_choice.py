"""From shares of votes to the words for each cluster: weighed against the neighbours, and no words twice."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from covey.types import ClusterName, FloatArray, IntArray

_WORTH_IT = 0.5
"""A free word is taken in place of a better one that is gone if it scores at least this share of it."""


class Votes(NamedTuple):
    """Shares of votes, a row for each cluster."""

    labels: IntArray  # (k,) ascending
    shares: csr_array  # (k, n_words) float64 in [0, 1]


class _Candidates(NamedTuple):
    """A cluster's words, best first."""

    words: IntArray
    scores: FloatArray


def choose_names(
    votes: Votes, rivals: Sequence[IntArray], vocabulary: Sequence[str], threshold: float, n_runners_up: int
) -> list[ClusterName]:
    """Weigh shares against rivals and give each cluster words of its own, the surest first."""
    candidates = [_rank_words(votes.shares, row, rivals[row]) for row in range(len(votes.labels))]
    best = [found.scores[0] if len(found.scores) else 0.0 for found in candidates]
    names: dict[int, ClusterName] = {}
    taken: set[str] = set()
    for row in sorted(range(len(candidates)), key=lambda row: (-best[row], row)):
        found, label = candidates[row], int(votes.labels[row])
        place, name = -1, ""
        if len(found.scores) and found.scores[0] >= threshold:
            place, name = _free_words(found, vocabulary, taken, threshold)
            taken.add(name)
        rest = [i for i in range(len(found.words)) if i != place][:n_runners_up]
        names[row] = ClusterName(
            label=label,
            name=name,
            score=float(found.scores[place]) if name else 0.0,
            runners_up=tuple(vocabulary[int(found.words[i])] for i in rest),
            runner_up_scores=tuple(float(found.scores[i]) for i in rest),
        )
    return [names[row] for row in range(len(candidates))]


def _rank_words(shares: csr_array, row: int, rivals: IntArray) -> _Candidates:
    """Return the words that a cluster voted for with their scores p² / (p + q), best first."""
    own = shares[[row]].tocoo()
    words, p = own.coords[1], own.data
    q = shares[rivals][:, words].max(axis=0).toarray().ravel() if len(rivals) and len(words) else np.zeros(len(words))
    scores = np.where(p > 0, p * p / np.maximum(p + q, np.finfo(np.float64).tiny), 0)
    order = np.lexsort((words, -scores))
    return _Candidates(words[order].astype(np.int64), np.minimum(scores[order], 1.0).astype(np.float32))


def _free_words(found: _Candidates, vocabulary: Sequence[str], taken: set[str], threshold: float) -> tuple[int, str]:
    """Return the place of a word that no cluster has and that word, or of the best one and it with a number."""
    for place, (word, score) in enumerate(zip(found.words, found.scores, strict=True)):
        if score < max(threshold, _WORTH_IT * found.scores[0]):
            break
        if vocabulary[word] not in taken:
            return place, vocabulary[word]
    number = 2
    while f"{vocabulary[found.words[0]]} ({number})" in taken:
        number += 1
    return 0, f"{vocabulary[found.words[0]]} ({number})"
