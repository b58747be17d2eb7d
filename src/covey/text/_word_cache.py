"""Vectors of lists of words, kept in the user's cache folder: a list is embedded once on a machine."""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from covey._files import write_bytes
from covey.types import FloatArray, TextEncoder

FEWEST_TEXTS, MOST_TEXTS = 100, 50_000
"""Fewer are quick to embed, more would fill a disk: lists of such lengths are not kept."""

_FORMAT: Final = "1"


class CachedEmbedder:
    """A text embedder that is loaded when it is needed, and whose vectors of lists are kept.

    Parameters
    ----------
    load : callable
        Returns the embedder.
    version : str
        Identifies everything that changes its vectors, e.g. its weights' hash.
    folder : Path, optional
        Where vectors are kept; ``covey/words`` in the user's cache folder if not given.
    """

    def __init__(self, load: Callable[[], TextEncoder], version: str, *, folder: Path | None = None) -> None:
        self._load, self._version = load, version
        self._folder = folder or _user_cache() / "covey" / "words"
        self._embedder: TextEncoder | None = None

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Turn texts into vectors, or read those that were made before.

        Parameters
        ----------
        texts : sequence of str
            Words or sentences.

        Returns
        -------
        vectors : ndarray of shape (n, d), dtype float32
            As the embedder gives them. A kept file that cannot be read, or does not fit, is made anew; where none can
            be written, none is kept.
        """
        if not FEWEST_TEXTS <= len(texts) <= MOST_TEXTS:
            return self._encode(texts)
        path = self._folder / f"{self._key(texts)}.npy"
        with suppress(OSError, ValueError, EOFError):
            vectors = np.load(path, allow_pickle=False)
            if vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == len(texts):
                return np.asarray(vectors)
        vectors = self._encode(texts)
        buffer = io.BytesIO()
        np.save(buffer, vectors, allow_pickle=False)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, buffer.getvalue())
        return vectors

    def _encode(self, texts: Sequence[str]) -> FloatArray:
        if self._embedder is None:
            self._embedder = self._load()
        return np.asarray(self._embedder.encode_texts(texts), dtype=np.float32)

    def _key(self, texts: Sequence[str]) -> str:
        """Return a hash of the embedder and of the texts in their order, each after its length."""
        digest = hashlib.sha256(f"{_FORMAT} {self._version}".encode())
        for text in texts:
            data = text.encode()
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.hexdigest()


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
