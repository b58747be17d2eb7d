"""The words that a cluster can be called: covey's own list, a file, or the names of folders.

A vocabulary is text, one word or phrase a line, in any script and language; lines that begin with ``#`` are comments.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from covey._text_files import decode_text
from covey.errors import InvalidValueError

MAX_WORDS = 1_000_000
MAX_LENGTH = 200
"""Characters of a word; longer lines are sentences or no text at all."""

_OWN = "vocabulary.txt"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that a cluster can be called.

    Attributes
    ----------
    words : tuple of str
        Without repeats, in the order in which they were given.
    source : str
        Where they come from, for a person.
    n_duplicates : int
        Lines that repeated an earlier one, whatever their case and spacing; they were left out.
    """

    words: tuple[str, ...]
    source: str
    n_duplicates: int = 0

    def __len__(self) -> int:
        return len(self.words)


def vocabulary_from(words: Iterable[str], *, source: str) -> Vocabulary:
    """Make a vocabulary of words.

    Parameters
    ----------
    words : iterable of str
        Any script. White space at the ends is dropped and within a word made one space; Unicode is composed (NFC).
    source : str
        Where they come from, for messages and for the record.

    Returns
    -------
    vocabulary : Vocabulary
        Of two words that differ in case or spacing alone, the first.

    Raises
    ------
    InvalidValueError
        If there is no word, one holds control characters or more than 200 characters, or there are more than a million.
    """
    seen: dict[str, str] = {}
    n_given = 0
    for word in words:
        clean = " ".join(unicodedata.normalize("NFC", word).split())
        if not clean:
            continue
        _check_word(clean, source)
        n_given += 1
        seen.setdefault(clean.casefold(), clean)
        if len(seen) > MAX_WORDS:
            raise InvalidValueError(f"{source} holds more than {MAX_WORDS:,} words; leave the rare ones out.")
    if not seen:
        raise InvalidValueError(f"{source} holds no word; a vocabulary has one word or phrase a line.")
    return Vocabulary(tuple(seen.values()), source, n_given - len(seen))


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary from a text file.

    Parameters
    ----------
    path : Path
        In UTF-8, UTF-16 or cp1252, one word or phrase a line. Empty lines, and those with ``#`` in front, are skipped.

    Returns
    -------
    vocabulary : Vocabulary
        In the order of the file; its source says the encoding, unless that is UTF-8.

    Raises
    ------
    InvalidValueError
        If the file cannot be read, is not text, or its words are not allowed (see `vocabulary_from`).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidValueError(f"The vocabulary {str(path)!r} cannot be read: {error.strerror}.") from error
    text, encoding = decode_text(data, f"The vocabulary {str(path)!r}")
    said = "" if encoding == "UTF-8" else f", read as {encoding}"
    return vocabulary_from(_without_comments(text.splitlines()), source=f"the vocabulary {str(path)!r}{said}")


@cache
def default_vocabulary() -> Vocabulary:
    """Return covey's own list: some 3,500 nouns, attributes, art styles and scenes, in English.

    Returns
    -------
    vocabulary : Vocabulary
        Written from general knowledge by topic; see the head of ``vocabulary.txt``. It is not made from the classes of
        any data set.
    """
    text = files("covey.text").joinpath(_OWN).read_text(encoding="utf-8")
    return vocabulary_from(_without_comments(text.splitlines()), source="covey's own vocabulary")


def imagenet_words() -> tuple[str, ...]:
    """Return a phrase for each class of ImageNet-1k, in the order of its classifiers' scores."""
    text = files("covey.text").joinpath("imagenet_words.txt").read_text(encoding="utf-8")
    return tuple(_without_comments(text.splitlines()))


def fill_template(template: str, words: Sequence[str]) -> list[str]:
    """Put each word into a prompt.

    Parameters
    ----------
    template : str
        Holds ``{}`` once, for example ``"a photo of a {}"``.
    words : sequence of str
        What stands there.

    Returns
    -------
    texts : list of str
        As many as words.

    Raises
    ------
    InvalidValueError
        If ``{}`` is not in the template exactly once.
    """
    before, mark, after = template.partition("{}")
    if not mark or "{}" in after:
        raise InvalidValueError(
            f"The template {template!r} must hold {{}} exactly once, where the word goes: 'a photo of a {{}}'."
        )
    return [f"{before}{word}{after}" for word in words]


def _without_comments(lines: Iterable[str]) -> Iterable[str]:
    return (line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _check_word(word: str, source: str) -> None:
    """Refuse what cannot be shown as the name of a cluster."""
    if len(word) > MAX_LENGTH:
        raise InvalidValueError(
            f"{source[:1].upper()}{source[1:]} holds a line of {len(word)} characters ({word[:40]!r}...); a "
            "word or phrase "
            f"has at most {MAX_LENGTH}."
        )
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in word):
        raise InvalidValueError(
            f"{source[:1].upper()}{source[1:]} holds control characters in {word!r}; it must be text."
        )
