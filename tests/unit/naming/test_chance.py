"""Words against random words: the chance of a fit, and whether words separate a collection."""

import numpy as np
import pytest

from covey._arrays import l2_normalize
from covey.naming import MAX_CHANCE, name_clusters, word_chances, words_separate
from covey.types import NOISE

N_CLUSTERS, N_FEATURES = 12, 24


@pytest.fixture
def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images around random centers, their labels, and the centers."""
    centers = l2_normalize(rng.normal(size=(N_CLUSTERS, N_FEATURES)).astype(np.float32))
    labels = np.repeat(np.arange(N_CLUSTERS), 20)
    return (centers[labels] + 0.1 * rng.normal(size=(len(labels), N_FEATURES))).astype(np.float32), labels, centers


def test_chances_are_those_of_a_naive_twin(rng: np.random.Generator, images) -> None:
    X, labels, _ = images
    words, reference = (rng.normal(size=(n, N_FEATURES)).astype(np.float32) for n in (3, 50))
    chances = word_chances(X, labels, words, reference)
    unit, unit_words, unit_reference = (l2_normalize(rows).astype(np.float64) for rows in (X, words, reference))
    for cluster in range(N_CLUSTERS):
        mean = unit[labels == cluster].mean(axis=0)
        for word in range(3):
            as_good = sum(mean @ other >= mean @ unit_words[word] for other in unit_reference)
            assert chances[cluster, word] == pytest.approx(1 - (1 - (as_good + 1) / 51) ** 3)


def test_words_of_the_clusters_separate_them_and_random_words_do_not(rng: np.random.Generator, images) -> None:
    X, labels, centers = images
    reference = rng.normal(size=(2000, N_FEATURES)).astype(np.float32)
    assert words_separate(word_chances(X, labels, centers, reference))
    found = [
        words_separate(word_chances(X, labels, rng.normal(size=(10, N_FEATURES)).astype(np.float32), reference))
        for _ in range(40)
    ]
    assert np.mean(found) <= 3 * MAX_CHANCE  # at most 6 of 40 at the level .05: exceeded by chance once in 300


def test_of_a_mixed_list_the_words_that_fit_are_left(rng: np.random.Generator, images) -> None:
    X, labels, centers = images
    words = np.concatenate([centers[:8], rng.normal(size=(8, N_FEATURES)).astype(np.float32)])
    reference = rng.normal(size=(2000, N_FEATURES)).astype(np.float32)
    chances = word_chances(X, labels, words, reference)
    vocabulary = [f"w{place}" for place in range(16)]
    names = name_clusters(X, labels, vocabulary, words, is_allowed=chances <= MAX_CHANCE)
    assert [name.name for name in names[:8]] == vocabulary[:8]
    assert sum(bool(name.name) for name in names[8:]) <= 1
    nothing = name_clusters(X, labels, vocabulary, words, is_allowed=np.zeros_like(chances, dtype=bool))
    assert {name.name for name in nothing} == {""}
    assert all(name.runners_up for name in nothing)


def test_noise_takes_no_part_and_one_cluster_is_enough(rng: np.random.Generator, images) -> None:
    X, labels, centers = images
    reference = rng.normal(size=(200, N_FEATURES)).astype(np.float32)
    one = np.where(labels == 3, 3, NOISE)
    chances = word_chances(X, one, centers[3:4], reference)
    assert chances.shape == (1, 1)
    assert words_separate(chances)
    assert not words_separate(np.ones((5, 2)))
