"""The part of WordNet above ImageNet's classes: complete, without cycles, and with names that fit their synsets."""

from importlib.resources import files

import numpy as np
import pytest

from covey.text import noun_tree
from covey.text._vocabulary import imagenet_words
from covey.text._wordnet import N_CLASSES, read_synsets


def classes_called(name: str) -> set[int]:
    """Return the places of the classes at or below the node of a name."""
    tree = noun_tree()
    return set(tree.below[[tree.names.index(name)]].nonzero()[1].tolist())


def test_every_class_is_one_synset_and_a_leaf() -> None:
    synsets = read_synsets()
    assert sorted(entry.place for entry in synsets.values() if entry.place >= 0) == list(range(N_CLASSES))
    above = {hypernym for entry in synsets.values() for hypernym in entry.hypernyms}
    assert above <= set(synsets)
    assert not [synset for synset in above if synsets[synset].place >= 0]
    assert [synset for synset, entry in synsets.items() if not entry.hypernyms] == ["n00001740"]  # entity


def test_the_classes_are_in_the_order_of_their_words() -> None:
    """covey's words of a class and WordNet's were written apart: where they share one, it is the same class."""
    places = {entry.place: {word.lower() for word in entry.words} for entry in read_synsets().values()}
    phrases = imagenet_words()
    agree = [
        any(word == phrase or phrase.startswith(f"{word} ") or phrase.endswith(f" {word}") for word in places[place])
        for place, phrase in enumerate(phrases)
    ]
    assert np.mean(agree) > 0.85


@pytest.mark.parametrize(
    ("synset", "place", "name"),
    [
        ("n02012849", 134, "crane bird"),
        ("n03126707", 517, "construction crane"),
        ("n03710637", 638, "tights"),
        ("n03710721", 639, "maillot"),
        ("n04356056", 837, "sunglasses"),
        ("n01440764", 0, "tench"),
        ("n02113186", 264, "cardigan corgi dog"),
        ("n02963159", 474, "cardigan"),
    ],
)
def test_classes_of_one_word(synset: str, place: int, name: str) -> None:
    found = read_synsets()[synset]
    assert (found.place, found.name) == (place, name)


def test_nodes_hold_the_classes_below_them() -> None:
    dogs, fish = classes_called("dog"), classes_called("fish")
    assert dogs == set(range(151, 269))
    assert {0, 1, 2, 391} <= fish
    assert not fish & dogs
    assert classes_called("animal") >= dogs | fish
    assert classes_called("horse") == {339}  # the one horse among the classes, a sorrel
    assert classes_called("construction crane") == {517}


def test_no_name_and_no_set_of_classes_is_there_twice() -> None:
    tree = noun_tree()
    assert tree.below.shape == (len(tree.names), N_CLASSES)
    assert len({name.lower() for name in tree.names}) == len(tree.names) > 1000
    assert len({tuple(row.nonzero()[0].tolist()) for row in tree.below.toarray()}) == len(tree.names)
    assert not {"entity", "artifact", "whole", "instrumentality"} & set(tree.names)


def test_the_license_lies_beside() -> None:
    text = files("covey.text").joinpath("wordnet-LICENSE.txt").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
