"""Names from a hierarchy of classes: the score against a naive twin, the assignment against all permutations."""

from itertools import permutations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import softmax

from covey.naming import class_shares, name_by_hierarchy
from covey.naming._choice import assign_names, rank_words
from covey.types import NOISE

# pug, poodle, cat, car, truck
NODES = {
    "pug": [0],
    "poodle": [1],
    "dog": [0, 1],
    "cat": [2],
    "animal": [0, 1, 2],
    "car": [3],
    "truck": [4],
    "vehicle": [3, 4],
    "thing": [0, 1, 2, 3, 4],
}
NAMES = tuple(NODES)
BELOW = csr_array(np.array([[float(place in classes) for place in range(5)] for classes in NODES.values()]))


def names_of(shares: list[list[float]], **keywords: float) -> list[str]:
    found = name_by_hierarchy(np.array(shares), np.arange(len(shares)), NAMES, BELOW, **keywords)
    return [name.name for name in found]


def test_a_name_is_as_special_as_the_images_agree() -> None:
    vehicles = [0.02, 0.02, 0.02, 0.9, 0.04]
    assert names_of([[0.9, 0.04, 0.02, 0.02, 0.02], vehicles]) == ["pug", "car"]
    assert names_of([[0.48, 0.44, 0.04, 0.02, 0.02], [0.02, 0.02, 0.02, 0.46, 0.48]]) == ["dog", "vehicle"]
    assert names_of([[0.31, 0.31, 0.32, 0.03, 0.03], vehicles], min_share=0.7) == ["animal", "car"]


def test_without_enough_of_the_probability_there_is_no_name_but_runners_up() -> None:
    shares = np.array([[0.2, 0.2, 0.2, 0.2, 0.2], [0.9, 0.025, 0.025, 0.025, 0.025]])
    nothing, pug = name_by_hierarchy(shares, np.array([4, 7]), NAMES, BELOW, min_share=0.7)
    assert (nothing.label, nothing.name, nothing.score) == (4, "", 0.0)
    assert len(nothing.runners_up) == len(nothing.runner_up_scores) == 4
    assert (pug.label, pug.name) == (7, "pug")
    assert names_of(shares.tolist(), threshold=1.0) == ["", ""]


def test_a_node_that_fits_all_clusters_is_worth_half(rng: np.random.Generator) -> None:
    alone = name_by_hierarchy(np.array([[0, 0, 0, 1.0, 0]]), np.array([0]), NAMES, BELOW)[0]
    beside = name_by_hierarchy(np.array([[0, 0, 0, 1.0, 0], [0, 0, 0, 1.0, 0]]), np.array([0, 1]), NAMES, BELOW)
    assert (alone.name, alone.score) == ("car", pytest.approx(1.0))
    assert sorted(name.name for name in beside) == ["car", "vehicle"]
    assert max(name.score for name in beside) == pytest.approx(0.5)


def naive_score(shares: np.ndarray, cluster: int, classes: list[int]) -> float:
    """Compute one score from sums over classes."""
    p = [sum(row[place] for place in classes) for row in shares]
    others = [value for row, value in enumerate(p) if row != cluster]
    q = sum(others) / len(others)
    return p[cluster] * p[cluster] / (p[cluster] + q) * (1 - np.log(len(classes)) / np.log(shares.shape[1]))


def test_scores_are_those_of_a_naive_twin(rng: np.random.Generator) -> None:
    shares = rng.dirichlet(np.ones(5), size=4)
    found = name_by_hierarchy(shares, np.arange(4), NAMES, BELOW, min_share=0, n_runners_up=len(NAMES))
    for cluster, name in enumerate(found):
        told = dict(zip(name.runners_up, name.runner_up_scores, strict=True)) | {name.name: name.score}
        assert set(told) == set(NAMES) - {"thing"}  # all classes: no information
        for word, score in told.items():
            assert score == pytest.approx(naive_score(shares, cluster, NODES[word]))


def test_the_sum_of_scores_is_the_largest_of_all_assignments(rng: np.random.Generator) -> None:
    for _ in range(20):
        scores = rng.random((4, 5))
        is_fit = rng.random((4, 5)) > 0.4
        candidates = [rank_words(np.arange(5), row, fit) for row, fit in zip(scores, is_fit, strict=True)]
        names = assign_names(np.arange(4), candidates, list("abcde"), 0)
        given = [name.name for name in names if name.name]
        assert len(set(given)) == len(given)
        padded = np.hstack([np.where(is_fit, scores, 0), np.zeros((4, 4))])
        best = max(sum(padded[row, column] for row, column in enumerate(way)) for way in permutations(range(9), 4))
        assert sum(name.score for name in names) == pytest.approx(best)


def test_shares_are_mean_probabilities(rng: np.random.Generator) -> None:
    X = rng.normal(size=(30, 6)).astype(np.float32)
    weight, bias = rng.normal(size=(5, 6)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    labels = np.arange(30) % 3 * 2 - 1
    labels[labels < 0] = NOISE
    values, shares = class_shares(X, labels, weight, bias)
    assert values.tolist() == [1, 3]
    for value, row in zip(values, shares, strict=True):
        expected = np.mean([softmax(weight @ x + bias) for x in X[labels == value]], axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-4)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert class_shares(X, np.full(30, NOISE), weight, bias)[1].shape == (0, 5)
    assert name_by_hierarchy(np.zeros((0, 5)), np.zeros(0, dtype=np.int64), NAMES, BELOW) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shares": np.ones((2, 4))}, r"shares has shape \(2, 4\)"),
        ({"labels": np.zeros(3, dtype=np.int64)}, r"labels \(3,\)"),
        ({"names": ["pug"] * len(NAMES)}, "8 of the nodes' names are repeated"),
        ({"min_share": 1.5}, "min_share is 1.5"),
        ({"threshold": -0.1}, "threshold is -0.1"),
    ],
)
def test_what_is_refused(change: dict[str, object], words: str) -> None:
    given = {"shares": np.full((2, 5), 0.2), "labels": np.arange(2), "names": NAMES, "below": BELOW} | change
    with pytest.raises(ValueError, match=words):
        name_by_hierarchy(**given)


def test_a_classifier_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"X has shape \(3, 2\).*weight \(5, 4\)"):
        class_shares(np.ones((3, 2)), np.zeros(3, dtype=np.int64), np.ones((5, 4)), np.ones(5))
