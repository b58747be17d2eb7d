"""Pictures for the tests, all drawn here."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.types import BackboneSpec


@pytest.fixture
def draw() -> Callable[..., Image.Image]:
    """Draw an RGB picture without symmetry: smooth colours, and a white mark in the upper left corner."""

    def _draw(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 200, (4, 5, 3), dtype=np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        image.paste((255, 255, 255), (0, 0, width // 4, height // 4))
        return image

    return _draw


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Encode a picture."""

    def _encode(image: Image.Image, format_: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format_, **options)
        return buffer.getvalue()

    return _encode


@pytest.fixture
def put(tmp_path: Path, draw: Callable[..., Image.Image]) -> Callable[..., Path]:
    """Write a drawn picture to a path below the test's folder; the seed makes it a different picture."""

    def _put(name: str, seed: int = 0, size: tuple[int, int] = (64, 48), **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(*size, seed=seed).save(path, **options)
        return path

    return _put


@pytest.fixture
def spec() -> Callable[..., BackboneSpec]:
    """Make a specification of which only the geometry matters."""

    def _spec(
        input_size: tuple[int, int] = (32, 32), crop_fraction: float = 0.875, interpolation: str = "bicubic"
    ) -> BackboneSpec:
        zero = (0.0, 0.0, 0.0)
        return BackboneSpec(
            "test.none", "none", 1, input_size, crop_fraction, interpolation, zero, zero, weights="none"
        )

    return _spec


@pytest.fixture
def chunked_png() -> Callable[..., bytes]:
    """Build an RGB PNG from its header's numbers and its compressed rows, true or not."""

    def _chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def _png(width: int, height: int, depth: int = 8, rows: bytes = b"") -> bytes:
        header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")

    return _png
