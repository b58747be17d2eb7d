"""Make src/covey/text/wordnet.tsv: the part of WordNet's noun hierarchy that ImageNet-1k's classes span.

    python benchmarks/wordnet_table.py WORDNET_FOLDER SYNSETS_FILE

WORDNET_FOLDER holds ``data.noun``, ``index.noun`` and ``cntlist.rev`` of WordNet 3.0; Debian's package ``wordnet-base``
1:3.0-37 installs them in /usr/share/wordnet. SYNSETS_FILE has the synset of each class, one a line in the order of the
classifiers' scores: ``timm/data/_info/imagenet_synsets.txt`` of timm 1.0.31. An ImageNet id is "n" and the offset of a
synset in WordNet 3.0's ``data.noun``, so no word has to be matched, and none can be matched wrongly. timm's file is
read, not copied: the ids are WordNet's, and the order is that of ILSVRC 2012.

A row is a synset: its id, the place of its class (empty for those above the classes), its name in a heading (empty if
it is not fit for one), its words, and its hypernyms. Names are chosen by rule, and none appears twice:

- A class is called by covey's own words for it (``imagenet_words.txt``) if they are WordNet's too, without the kind
that
  they add to a species ("tench fish" is "tench"), unless the shorter word first means something else ("kite", "crane").
- A synset above is called by the word of which it is the first sense in WordNet, that is in covey's vocabulary, that
has
  been counted in WordNet's texts, or that comes first, in this order. If it is neither in the vocabulary nor was
  counted it is not fit for a heading, nor if it says nothing of what is seen ("artifact", see `_SAYS_NOTHING`).
- Of synsets with the same classes below, one has the name: an everyday word before the class's own (the one horse among
the
  classes is a "sorrel"), and of everyday words the most specific one, but the kind where the class is one of many of
  its kind (the one airplane among them is an "airliner", see `_RATHER_THE_KIND`).
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from covey.text import default_vocabulary
from covey.text._vocabulary import imagenet_words

TARGET = Path(__file__).parents[1] / "src" / "covey" / "text" / "wordnet.tsv"
_N_CLASSES = 1000
_HEAD = """\
# The hypernyms of ImageNet-1k's 1,000 classes in WordNet 3.0. WordNet's license is in wordnet-LICENSE.txt beside this
# file. Made by benchmarks/wordnet_table.py, which says how the names (third column) were chosen. Columns, separated by
# tabs: synset, place of its class (empty above the classes), name in a heading (empty: none), its words, its hypernyms
"""

# Written by hand, by meaning: synsets above the classes whose words name a role, a shape or a part rather than what a
# person sees, in the form of their first word.
_SAYS_NOTHING = {
    "entity", "physical entity", "object", "whole", "artifact", "organism", "living thing", "instrumentality",
    "device", "container", "covering", "conveyance", "commodity", "structure", "matter", "equipment", "implement",
    "instrument", "protective covering", "substance", "furnishing", "vessel", "produce", "craft", "natural object",
    "machine", "mechanism", "nutriment", "restraint", "barrier", "obstruction", "establishment",
    "geological formation", "abstraction", "causal agent", "game", "seat", "part", "piece", "piece of cloth",
    "system", "support", "ware", "article", "course", "top", "sheet", "control", "framework", "drug", "agent",
    "relation", "constituent", "communication", "filter", "screen", "blind", "cap", "domestic animal", "vertebrate",
    "invertebrate", "chordate", "stick", "weight", "place of business", "housing", "starches", "foodstuff", "plate",
    "shield", "ornament", "decoration", "attire", "transducer", "reservoir", "person", "alcohol", "flavorer",
    "ingredient", "liquid", "fluid", "reproductive structure", "plant organ", "simple machine", "wheel",
    "aquatic vertebrate", "nutrition", "solid", "food", "garment", "shelter", "trap", "timer", "electronic device",
    "mechanical device", "staff", "cabinet", "reflector", "sheath", "edge tool", "cutter", "digital computer",
    "supporting structure", "motor vehicle", "pot", "pan", "public transport", "source of illumination", "hand tool",
    "residence", "gear", "mercantile establishment", "hosiery", "communication system", "percussion instrument",
}  # fmt: skip
# Written by hand, by meaning: kinds of which the classes hold a single one, while most pictures of the kind show
# others.
_RATHER_THE_KIND = {
    "airplane", "coffee", "eagle", "hamburger", "motorcycle", "motorboat", "pistol", "rocket", "shirt",
    "spacecraft", "wine",
}  # fmt: skip
# Two synsets of these words say something after all: the food that is eaten, and the wheeled one.
_SAYS_SOMETHING = {"n00021265", "n03791235"}  # food (nutrient), motor vehicle


class Synset(NamedTuple):
    words: tuple[str, ...]
    counts: tuple[int, ...]
    hypernyms: tuple[str, ...]


def read_nouns(folder: Path) -> dict[str, Synset]:
    """Read all noun synsets by id."""
    counts = {}
    for line in (folder / "cntlist.rev").read_text(encoding="ascii").splitlines():
        key, _, count = line.split()
        counts[key] = int(count)
    nouns = {}
    for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):  # the license
            continue
        fields = line.partition(" | ")[0].split()
        n_words = int(fields[3], 16)
        words, senses = fields[4 : 4 + 2 * n_words : 2], fields[5 : 5 + 2 * n_words : 2]
        keys = [
            f"{word.lower()}%1:{fields[1]}:{int(sense, 16):02d}::" for word, sense in zip(words, senses, strict=True)
        ]
        pointers = fields[5 + 2 * n_words :]
        nouns["n" + fields[0]] = Synset(
            tuple(word.replace("_", " ") for word in words),
            tuple(counts.get(key, 0) for key in keys),
            tuple("n" + pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] in ("@", "@i")),
        )
    return nouns


def read_first_senses(folder: Path) -> dict[str, str]:
    """Read the most frequent noun sense of each word, in lower case."""
    first = {}
    for line in (folder / "index.noun").read_text(encoding="ascii").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            first[fields[0].replace("_", " ")] = "n" + fields[-int(fields[2])]
    return first


def classes_below(nouns: dict[str, Synset], classes: list[str]) -> dict[str, frozenset[int]]:
    """Return the classes at or below each synset that has any."""
    below: dict[str, set[int]] = {}
    for place, leaf in enumerate(classes):
        above = [leaf]
        while above:
            synset = above.pop()
            if place not in below.setdefault(synset, set()):
                below[synset].add(place)
                above += nouns[synset].hypernyms
    return {synset: frozenset(places) for synset, places in below.items()}


class Namer:
    """Chooses names by the rules above."""

    def __init__(self, nouns: dict[str, Synset], first: dict[str, str], classes: list[str]) -> None:
        self._nouns, self._first = nouns, first
        self._phrases = dict(zip(classes, imagenet_words(), strict=True))
        self._everyday = set(default_vocabulary().words)

    def name_class(self, synset: str) -> tuple[str, str]:
        """Return the name of a class, and covey's phrase for it where the name is taken."""
        phrase = self._phrases[synset]
        words = {word.lower(): word for word in self._nouns[synset].words}
        shorter = phrase.rpartition(" ")[0]
        for word in (phrase, shorter):
            if word in words and (word == phrase or self._first[word] == synset):
                return words[word], phrase
        return phrase, phrase

    def name_above(self, synset: str) -> str:
        """Return the name of a synset above the classes, "" if it is not fit for a heading."""
        words, counts, _ = self._nouns[synset]
        if words[0] in _SAYS_NOTHING and synset not in _SAYS_SOMETHING:
            return ""
        ranked = max(
            (self._first[word.lower()] == synset, word.lower() in self._everyday, count > 0, -place, word)
            for place, (word, count) in enumerate(zip(words, counts, strict=True))
        )
        is_first, is_everyday, was_counted, _, word = ranked
        return word if is_first and (is_everyday or was_counted) else ""

    def rank(self, synset: str, name: str, depth: int) -> tuple[bool, bool, int]:
        """Order synsets with the same classes: everyday words first, of these such kinds, then the most specific."""
        is_everyday = name.lower() in self._everyday and self._first.get(name.lower()) == synset
        return is_everyday, is_everyday and name in _RATHER_THE_KIND, depth


def choose_names(nouns: dict[str, Synset], first: dict[str, str], classes: list[str]) -> dict[str, str]:
    """Return the name of each synset that has one; no two are equal."""
    namer, below = Namer(nouns, first, classes), classes_below(nouns, classes)
    same: dict[frozenset[int], list[str]] = {}
    for synset in sorted(below):
        same.setdefault(below[synset], []).append(synset)
    chosen: dict[str, str] = {}
    for group in same.values():
        names = {
            synset: namer.name_class(synset)[0] if synset in classes else namer.name_above(synset) for synset in group
        }
        fit = [synset for synset in group if names[synset]]
        if fit:
            best = max(fit, key=lambda synset: namer.rank(synset, names[synset], _depth(nouns, synset)))
            chosen[best] = names[best]
    # Classes of one word are told apart by covey's phrases, a class that is called like its kind by WordNet's words.
    for synset in classes:
        for other in (namer.name_class(synset)[1], *nouns[synset].words):
            if synset in chosen and _is_repeated(chosen[synset], chosen):
                chosen[synset] = other
    repeated = sorted(name for name in chosen.values() if _is_repeated(name, chosen))
    if repeated:
        raise SystemExit(f"Names of several synsets: {repeated}")
    return chosen


def _is_repeated(name: str, chosen: dict[str, str]) -> bool:
    return sum(other.lower() == name.lower() for other in chosen.values()) > 1


def _depth(nouns: dict[str, Synset], synset: str) -> int:
    return 1 + max((_depth(nouns, above) for above in nouns[synset].hypernyms), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordnet", type=Path, help="folder with data.noun, index.noun and cntlist.rev")
    parser.add_argument("synsets", type=Path, help="the classes' synsets in order, one a line")
    arguments = parser.parse_args()
    nouns, first = read_nouns(arguments.wordnet), read_first_senses(arguments.wordnet)
    classes = arguments.synsets.read_text(encoding="ascii").split()
    if len(classes) != _N_CLASSES or len(set(classes)) != _N_CLASSES or not nouns.keys() >= set(classes):
        raise SystemExit(f"{arguments.synsets} must list {_N_CLASSES} synsets of WordNet 3.0, none twice.")
    names = choose_names(nouns, first, classes)
    places = {synset: str(place) for place, synset in enumerate(classes)}
    rows = [
        "\t".join(
            (
                synset,
                places.get(synset, ""),
                names.get(synset, ""),
                "|".join(nouns[synset].words),
                ",".join(nouns[synset].hypernyms),
            )
        )
        for synset in sorted(classes_below(nouns, classes))
    ]
    TARGET.write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    license_lines = []
    for line in (arguments.wordnet / "data.noun").read_text(encoding="latin-1").splitlines():
        if not line.startswith("  "):
            break
        license_lines.append(line.strip().partition(" ")[2])
    TARGET.with_name("wordnet-LICENSE.txt").write_text("\n".join(license_lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
