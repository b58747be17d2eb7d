"""A backbone with a text tower that needs no weights: colours, in pictures and in words."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from covey.backbones import BACKBONES, LOADERS
from covey.types import BackboneSpec

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "yellow": (220, 220, 30)}
SPEC = BackboneSpec(
    name="colour_words",
    loader="colour_words",
    n_features=4,
    input_size=(8, 8),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights="none",
    has_text=True,
)


class ColourWords:
    """Features are a picture's mean colour, those of a text the colours it names; a fourth says that it names none."""

    spec = SPEC
    fingerprint = "colour_words-1"

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        colour = pixels.reshape(len(pixels), -1, 3).mean(axis=1) / 255 - 0.3
        return np.hstack([colour, np.zeros((len(pixels), 1))]).astype(np.float32)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 4), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            named = [np.array(rgb) / 255 - 0.3 for colour, rgb in COLOURS.items() if colour in text.lower()]
            row[:3] = np.sum(named, axis=0) if named else 0
            row[3] = not named
        return rows


@pytest.fixture
def colour_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register the backbone and return its name."""
    module = ModuleType("colour_words")
    module.SPEC, module.load = SPEC, lambda spec, **_: ColourWords()
    monkeypatch.setitem(sys.modules, "colour_words", module)
    with (
        BACKBONES.register("colour_words", "colour_words:SPEC"),
        LOADERS.register("colour_words", "colour_words:load"),
    ):
        yield "colour_words"


@pytest.fixture
def coloured_project(picture_folder: Path, tmp_path: Path, colour_words: str) -> Callable[..., Path]:
    """Return a function that clusters 24 pictures of three colours and gives the project's folder."""

    def make(**keywords: object) -> Path:
        from covey.pipeline import cluster_folder

        given = {"n_clusters": 3, "backbone": colour_words, **keywords}
        return cluster_folder([picture_folder], tmp_path / "colours.covey", **given).project

    return make
