"""The nouns above ImageNet-1k's classes: the part of WordNet's hierarchy that they span, with a name for most nodes.

The table ``wordnet.tsv`` was made by ``benchmarks/wordnet_table.py`` of WordNet 3.0 (Miller 1995, Communications of the
ACM 38(11); its license is in ``wordnet-LICENSE.txt`` beside it), whose synsets are ImageNet's classes (Russakovsky et
al. 2015, arXiv:1409.0575).
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
from scipy.sparse import csr_array

N_CLASSES: Final = 1000


class Synset(NamedTuple):
    """A row of the table; `place` is that of its class among a classifier's scores, -1 above the classes."""

    place: int
    name: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]


class NounTree(NamedTuple):
    """The synsets that have a name, and the classes at or below each.

    Attributes
    ----------
    synsets : tuple of str
        Their ids, ``"n"`` and the offset in WordNet 3.0.
    names : tuple of str
        What each is called; none twice, whatever their case.
    below : csr_array of shape (n_nodes, 1000), dtype float64
        One where a class is at or below a synset, else zero. No two rows are equal.
    """

    synsets: tuple[str, ...]
    names: tuple[str, ...]
    below: csr_array


@cache
def read_synsets() -> Mapping[str, Synset]:
    """Read the whole table.

    Returns
    -------
    synsets : mapping of str to Synset
        By id: every synset that is a class or above one.
    """
    text = files("covey.text").joinpath("wordnet.tsv").read_text(encoding="utf-8")
    synsets = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            synset, place, name, words, hypernyms = line.split("\t")
            above = tuple(hypernyms.split(",")) if hypernyms else ()
            synsets[synset] = Synset(int(place or -1), name, tuple(words.split("|")), above)
    return synsets


@cache
def noun_tree() -> NounTree:
    """Return the nodes that a cluster can be called by.

    Returns
    -------
    tree : NounTree
        In the order of the ids.
    """
    synsets = read_synsets()
    rows = {synset: row for row, synset in enumerate(key for key, entry in synsets.items() if entry.name)}
    pairs = [
        (rows[above], entry.place)
        for synset, entry in synsets.items()
        if entry.place >= 0
        for above in _at_or_above(synset, synsets)
        if above in rows
    ]
    below = csr_array((np.ones(len(pairs)), tuple(zip(*pairs, strict=True))), shape=(len(rows), N_CLASSES))
    return NounTree(tuple(rows), tuple(synsets[synset].name for synset in rows), below)


def _at_or_above(synset: str, synsets: Mapping[str, Synset]) -> set[str]:
    """Return a synset and all its hypernyms; some have two, so that what is above is not a chain."""
    found: set[str] = set()
    waiting = [synset]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += synsets[here].hypernyms
    return found
