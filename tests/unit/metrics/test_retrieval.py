"""Scores of searches, against counting by hand."""

import numpy as np
import pytest

from covey.metrics import retrieval_scores


def test_against_counting_by_hand(rng: np.random.Generator) -> None:
    everything = rng.integers(0, 4, 200)
    query = rng.integers(0, 4, 30)
    rows = np.stack([rng.choice(200, 7, replace=False) for _ in query])
    scores = retrieval_scores(everything[rows], query, everything)
    precision, recall, hit = [], [], []
    for label, found in zip(query, everything[rows], strict=True):
        n_right = sum(int(one == label) for one in found)
        precision.append(n_right / 7)
        recall.append(n_right / sum(int(one == label) for one in everything))
        hit.append(n_right > 0)
    assert scores.precision == pytest.approx(np.mean(precision))
    assert scores.recall == pytest.approx(np.mean(recall))
    assert scores.hit_rate == pytest.approx(np.mean(hit))
    for place, name in enumerate(scores.classes):
        own = query == name
        assert scores.class_precision[place] == pytest.approx(np.mean(np.array(precision)[own]))
        assert scores.class_recall[place] == pytest.approx(np.mean(np.array(recall)[own]))


def test_perfect_and_hopeless_searches_of_words() -> None:
    perfect = retrieval_scores([["cat"] * 2, ["dog"] * 2], ["cat", "dog"], ["cat", "cat", "dog", "dog"])
    assert perfect[:3] == (1.0, 1.0, 1.0)
    hopeless = retrieval_scores([["dog"], ["cat"]], ["cat", "dog"], ["cat", "dog"])
    assert hopeless[:3] == (0.0, 0.0, 0.0)
    assert retrieval_scores([["dog"]], ["bird"], ["dog"]).recall == 0.0  # a class that nothing is of


@pytest.mark.parametrize(
    ("found", "query", "everything"),
    [([], [], [1]), ([[]], [1], [1]), ([[1], [1]], [1], [1]), ([1], [1], [1]), ([[1]], [1], [[1]])],
)
def test_what_is_refused(found: list, query: list, everything: list) -> None:
    with pytest.raises(ValueError, match="at least one query and one hit"):
        retrieval_scores(found, query, everything)
