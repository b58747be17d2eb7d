"""Vectors of lists of words are made once, and made anew where what was kept is of no use."""

from pathlib import Path

import numpy as np
import pytest

from covey.text._word_cache import FEWEST_TEXTS, CachedEmbedder

WORDS = [f"word {number}" for number in range(FEWEST_TEXTS)]


class Counting:
    """An embedder that counts its loads and what it encodes."""

    def __init__(self) -> None:
        self.n_loads = self.n_texts = 0

    def load(self) -> "Counting":
        self.n_loads += 1
        return self

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        self.n_texts += len(texts)
        return np.array([[len(text), hash(text) % 97] for text in texts], dtype=np.float32)


def test_a_list_is_embedded_once(tmp_path: Path) -> None:
    counting = Counting()
    vectors = CachedEmbedder(counting.load, "a", folder=tmp_path / "new").encode_texts(WORDS)
    again = CachedEmbedder(counting.load, "a", folder=tmp_path / "new").encode_texts(WORDS)
    np.testing.assert_array_equal(vectors, again)
    assert vectors.dtype == again.dtype == np.float32
    assert (counting.n_loads, counting.n_texts) == (1, len(WORDS))


@pytest.mark.parametrize("words", [WORDS[::-1], [*WORDS[:-2], WORDS[-2] + WORDS[-1], ""], [*WORDS[:-1], "other"]])
def test_another_list_or_embedder_is_another_file(tmp_path: Path, words: list[str]) -> None:
    counting = Counting()
    CachedEmbedder(counting.load, "a", folder=tmp_path).encode_texts(WORDS)
    CachedEmbedder(counting.load, "a", folder=tmp_path).encode_texts(words)
    CachedEmbedder(counting.load, "b", folder=tmp_path).encode_texts(WORDS)
    assert counting.n_loads == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_short_lists_are_not_kept(tmp_path: Path) -> None:
    embedder = CachedEmbedder(Counting().load, "a", folder=tmp_path / "none")
    assert embedder.encode_texts(WORDS[:-1]).shape == (len(WORDS) - 1, 2)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", [b"", b"half a file", None])
def test_a_file_of_no_use_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    counting = Counting()
    expected = CachedEmbedder(counting.load, "a", folder=tmp_path).encode_texts(WORDS)
    (path,) = tmp_path.iterdir()
    if content is None:
        np.save(path, expected[:5])
    else:
        path.write_bytes(content)
    np.testing.assert_array_equal(CachedEmbedder(counting.load, "a", folder=tmp_path).encode_texts(WORDS), expected)
    np.testing.assert_array_equal(np.load(path), expected)


def test_without_a_place_to_write_vectors_are_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    counting = Counting()
    for _ in range(2):
        CachedEmbedder(counting.load, "a", folder=tmp_path / "file" / "words").encode_texts(WORDS)
    assert counting.n_loads == 2


def test_the_folder_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    CachedEmbedder(Counting().load, "a").encode_texts(WORDS)
    assert len(list((tmp_path / "covey" / "words").glob("*.npy"))) == 1
