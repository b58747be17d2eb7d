"""Lists of words: covey's own, a person's, and what is refused."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from covey.errors import InvalidValueError
from covey.text import default_vocabulary, read_vocabulary, vocabulary_from
from covey.text._vocabulary import fill_template, imagenet_words


def test_the_own_list_is_large_clean_and_documented() -> None:
    text = files("covey.text").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = default_vocabulary()
    assert len(words) == len(lines) >= 3000
    assert words.n_duplicates == 0
    assert words.words == tuple(word.lower() for word in lines)
    assert all(word == " ".join(word.split()) and len(word) <= 40 for word in lines)
    assert "Source:" in text.split("\n\n")[0]
    topics = [line for line in text.splitlines() if line.startswith("# ")][8:]
    assert {"# Art styles and movements", "# Landscapes and nature", "# Qualities and moods"} <= set(topics)


def test_the_own_list_is_not_made_from_class_names() -> None:
    """Neither its code nor its file refers to a data set, and it is far from holding the classes that the bridge knows.

    Everyday words are in both by necessity; of a list made from the thousand classes all would be in it.
    """
    source = Path(str(files("covey.text").joinpath("_vocabulary.py"))).read_text(encoding="utf-8")
    body = source[source.index("def default_vocabulary") : source.index("def imagenet_words")]
    assert not any(name in body.lower() for name in ("imagenet", "cifar", "/"))
    own, classes = set(default_vocabulary().words), imagenet_words()
    assert np.mean([word in own for word in classes]) < 0.5
    text = files("covey.text").joinpath("vocabulary.txt").read_text(encoding="utf-8").lower()
    assert not any(name in text for name in ("imagenet", "cifar", "wnid", "/", "flickr"))


def test_the_bridge_has_a_phrase_for_each_class() -> None:
    words = imagenet_words()
    assert len(words) == len(set(words)) == 1000
    assert words[0] == "tench fish"
    assert words[207] == "golden retriever dog"
    assert words[999] == "toilet paper"


def test_a_file_of_any_script_with_comments_and_repeats(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# mine\nHund\n\n  Katze  \nhund\nперо\n猫\ncafe\u0301\ncafé\nred   car\n", encoding="utf-8")
    words = read_vocabulary(path)
    assert words.words == ("Hund", "Katze", "перо", "猫", "café", "red car")
    assert words.n_duplicates == 2
    assert str(path) in words.source


def test_a_hundred_thousand_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"word {i}" for i in range(100_000)), encoding="utf-8")
    assert len(read_vocabulary(path)) == 100_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no word"),
        (b"# nothing\n\n", "holds no word"),
        (b"caf\x81\n", "is not text in UTF-8 or cp1252 \\(byte 3 is not allowed\\)"),
        (b"a\x00b\n", "control characters"),
        (b"x" * 500, "a line of 500 characters"),
    ],
)
def test_files_that_are_no_list_are_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match=words):
        read_vocabulary(path)
    with pytest.raises(InvalidValueError, match="cannot be read: No such file"):
        read_vocabulary(tmp_path / "other.txt")


def test_too_many_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.text._vocabulary.MAX_WORDS", 3)
    with pytest.raises(InvalidValueError, match="more than 3 words"):
        vocabulary_from("abcd", source="the list")


def test_templates() -> None:
    assert fill_template("a photo of a {}.", ["cat", "{}"]) == ["a photo of a cat.", "a photo of a {}."]
    for template in ("no place", "{} and {}"):
        with pytest.raises(InvalidValueError, match="exactly once"):
            fill_template(template, ["cat"])
