"""Naming clusters from votes and from captions: the arithmetic, the ties, and what is refused."""

import numpy as np
import pytest

from covey._arrays import l2_normalize
from covey.naming import name_clusters, name_from_captions, sample_rows
from covey.types import NOISE

WORDS = ["cat", "dog", "car", "truck", "tree", "red", "blue", "green"]


@pytest.fixture
def space(rng: np.random.Generator) -> np.ndarray:
    """A unit vector for each word, at right angles."""
    return np.eye(len(WORDS), 64, dtype=np.float32)


def images_of(space: np.ndarray, rng: np.random.Generator, *mixtures: dict[str, float], n: int = 20) -> np.ndarray:
    """Return n noisy images for each mixture of words."""
    centers = [sum(share * space[WORDS.index(word)] for word, share in mixture.items()) for mixture in mixtures]
    return np.concatenate([center + 0.02 * rng.normal(size=(n, 64)) for center in centers]).astype(np.float32)


def test_each_cluster_gets_the_word_of_its_images(space: np.ndarray, rng: np.random.Generator) -> None:
    X = images_of(space, rng, {"dog": 1}, {"truck": 1}, {"blue": 1})
    names = name_clusters(X, np.repeat([2, 0, 1], 20), WORDS, space)
    assert [(name.label, name.name) for name in names] == [(0, "truck"), (1, "blue"), (2, "dog")]
    assert all(0.9 < name.score <= 1 for name in names)


def naive_scores(X, labels, words, temperature, n_votes):
    """Algorithm 2 with a loop over images, then p² / (p + q) against every other cluster."""
    unit, words = l2_normalize(X).astype(np.float64), l2_normalize(words).astype(np.float64)
    shares = np.zeros((labels.max() + 1, len(words)))
    for row, label in zip(unit, labels, strict=True):
        e = np.exp(temperature * words @ row)
        p = e / e.sum()
        for word in np.argsort(-p, kind="stable")[:n_votes]:
            shares[label, word] += p[word] / (labels == label).sum()
    rivals = np.stack([np.delete(shares, label, axis=0).max(axis=0) for label in range(len(shares))])
    return np.where(shares > 0, shares**2 / np.maximum(shares + rivals, 1e-300), 0)


def test_scores_are_those_of_a_naive_twin(rng: np.random.Generator) -> None:
    X = rng.normal(size=(90, 16)).astype(np.float32)
    words = rng.normal(size=(40, 16)).astype(np.float32)
    labels = np.arange(90) % 3
    vocabulary = [f"w{i}" for i in range(40)]
    names = name_clusters(X, labels, vocabulary, words, temperature=20, threshold=0, n_runners_up=40)
    expected = naive_scores(X, labels, words, 20, 5)
    for name in names:
        told = dict(zip(name.runners_up, name.runner_up_scores, strict=True)) | {name.name: name.score}
        for word, score in told.items():
            assert score == pytest.approx(expected[name.label, int(word[1:])], rel=1e-4, abs=1e-6)
        assert len(told) == np.count_nonzero(expected[name.label])


def test_a_word_that_fits_the_neighbour_too_counts_half(space: np.ndarray, rng: np.random.Generator) -> None:
    X = images_of(space, rng, {"car": 1, "red": 0.995}, {"car": 1, "blue": 0.995})
    names = name_clusters(X, np.repeat([0, 1], 20), WORDS, space)
    assert [name.name for name in names] == ["red", "blue"]
    assert all(name.runners_up[0] == "car" for name in names)
    alone = name_clusters(X[:20], np.zeros(20, dtype=np.int64), WORDS, space)
    assert alone[0].name == "car"


def test_no_two_clusters_share_a_name(space: np.ndarray, rng: np.random.Generator) -> None:
    X = images_of(space, rng, {"cat": 1}, {"cat": 1}, {"cat": 1})
    names = [name.name for name in name_clusters(X, np.repeat([0, 1, 2], 20), WORDS, space)]
    assert sorted(names) == ["", "", "cat"]  # rather none than the same word with a number


def test_names_are_assigned_over_all_clusters(space: np.ndarray, rng: np.random.Generator) -> None:
    """Cluster 0 fits "cat" best, but has another word of its own; cluster 1 has none, and gets "cat"."""
    X = images_of(space, rng, {"cat": 1.0, "red": 0.995}, {"cat": 1})
    names = name_clusters(X, np.repeat([0, 1], 20), WORDS, space)
    assert [name.name for name in names] == ["red", "cat"]


def test_below_the_threshold_there_is_no_name_but_runners_up(space: np.ndarray, rng: np.random.Generator) -> None:
    X = images_of(space, rng, {"cat": 1}, {"dog": 1, "car": 1, "tree": 1, "red": 1, "blue": 1})
    sure, unsure = name_clusters(X, np.repeat([0, 1], 20), WORDS, space, temperature=30, threshold=0.6)
    assert sure.name == "cat"
    assert (unsure.name, unsure.score) == ("", 0.0)
    assert unsure.runner_up_scores[0] < 0.6
    assert len(unsure.runners_up) == len(unsure.runner_up_scores) == 4


def test_ties_go_to_the_first_word_and_nothing_hangs_on_row_order(space: np.ndarray, rng: np.random.Generator) -> None:
    twins = np.concatenate([space[:1], space])  # two words with the vector of "cat"
    X = images_of(space, rng, {"cat": 1}, {"dog": 1})
    labels = np.repeat([0, 1], 20)
    words = ["kitten", *WORDS]
    names = name_clusters(X, labels, words, twins)
    assert names[0].name == "kitten"
    assert names[0].runners_up[0] == "cat"
    order = rng.permutation(len(X))
    again = name_clusters(X[order], labels[order], words, twins)
    assert [name.name for name in again] == [name.name for name in names]
    np.testing.assert_allclose([name.score for name in again], [name.score for name in names], rtol=1e-5)


def test_noise_has_no_vote_and_no_name(space: np.ndarray, rng: np.random.Generator) -> None:
    X = images_of(space, rng, {"cat": 1}, {"dog": 1})
    (name,) = name_clusters(X, np.repeat([0, NOISE], 20), WORDS, space)
    assert (name.label, name.name) == (0, "cat")
    assert name_clusters(X, np.full(40, NOISE), WORDS, space) == []


def test_blocks_do_not_show(space: np.ndarray, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    X = rng.normal(size=(50, 64)).astype(np.float32)
    whole = name_clusters(X, np.arange(50) % 4, WORDS, space, threshold=0)
    monkeypatch.setattr("covey.naming._votes._BLOCK_VALUES", 3 * len(WORDS))
    blocks = name_clusters(X, np.arange(50) % 4, WORDS, space, threshold=0)
    assert [name.name for name in whole] == [name.name for name in blocks]


def test_a_hundred_thousand_words(rng: np.random.Generator) -> None:
    words = rng.normal(size=(100_000, 8)).astype(np.float32)
    X = words[[7, 7, 99_999, 99_999]]
    names = name_clusters(X, np.array([0, 0, 1, 1]), [f"word {i}" for i in range(100_000)], words)
    assert [name.name for name in names] == ["word 7", "word 99999"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocabulary": []}, "vocabulary is empty"),
        ({"vocabulary": ["a", "b", "a"]}, "holds 'a' more than once"),
        ({"vocabulary": ["a", "b"]}, r"word_vectors has shape \(3, 4\); 2 words"),
        ({"labels": np.zeros(5, dtype=np.int64)}, "image_vectors has 6 rows"),
        ({"labels": np.zeros(6)}, "dtype float64"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"image_vectors": np.full((6, 4), np.nan)}, "image_vectors holds NaN"),
    ],
)
def test_what_is_refused(change: dict[str, object], words: str) -> None:
    given = {
        "image_vectors": np.ones((6, 4), dtype=np.float32),
        "labels": np.zeros(6, dtype=np.int64),
        "vocabulary": ["a", "b", "c"],
        "word_vectors": np.eye(4, dtype=np.float32)[:3],
    } | change
    with pytest.raises(ValueError, match=words):
        name_clusters(**given)


def test_captions_are_read_word_by_word() -> None:
    captions = ["A fire truck, parked.", "the FIRE-TRUCK again", "a catalogue of trees", "un árbol verde", "", "a tree"]
    labels = np.array([0, 0, 1, 1, 1, NOISE])
    names = name_from_captions(captions, labels, ["truck", "fire truck", "cat", "trees", "tree", "árbol"])
    # "truck" is in as many captions as "fire truck" and comes first; "catalogue" is no cat.
    assert (names[0].name, names[0].runners_up, names[0].score) == ("truck", ("fire truck",), 1.0)
    assert (names[1].name, names[1].runners_up) == ("trees", ("árbol",))
    assert names[1].score == pytest.approx(1 / 3)


def test_captions_that_say_nothing_give_no_name() -> None:
    assert [name.name for name in name_from_captions(["", "x"], np.array([0, 1]), ["cat"])] == ["", ""]


def test_a_sample_is_spread_over_every_cluster() -> None:
    labels = np.array([0] * 100 + [1] * 3 + [NOISE] * 5 + [2])
    rows = sample_rows(labels, max_images=10)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(labels[rows]).tolist() == [10, 3, 1]
    assert rows[0] == 0
    assert rows[9] == 99
    assert sample_rows(np.full(4, NOISE)).tolist() == []
    with pytest.raises(ValueError, match="max_images is 0"):
        sample_rows(labels, 0)
