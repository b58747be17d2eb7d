"""Whether the fast way to compute a backbone agrees with the exact one, on a person's own images and processor."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from covey.backbones import load_backbone
from covey.errors import ImageReadError, InvalidValueError
from covey.images import decode_size, preprocess, read_image, scan_images
from covey.types import Backbone, ByteArray, FloatArray

AGREED = 0.999  # cosine


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a backbone as it runs by default compares with torch in float32.

    Attributes
    ----------
    runtime, precision : str
        What is used by default here.
    n_images : int
        Images compared.
    cosine_min, cosine_mean : float
        Of an image's two rows, in [-1, 1]; larger is better.
    images_per_s, float32_images_per_s : float
        Images a second of the default and of torch in float32, the model alone, one measurement.
    """

    runtime: str
    precision: str
    n_images: int
    cosine_min: float
    cosine_mean: float
    images_per_s: float
    float32_images_per_s: float

    @property
    def is_close(self) -> bool:
        """Whether every row has a cosine above 0.999."""
        return self.cosine_min > AGREED


def compare_with_float32(
    name: str, sources: Sequence[Path], *, n_images: int = 64, weights: Path | None = None
) -> Agreement:
    """Encode images twice, by default and in float32 with torch, and compare.

    Parameters
    ----------
    name : str
        A name of `covey.backbones.BACKBONES`, or the path of a folder in the layout of transformers.
    sources : sequence of Path
        Folders or images; at most `n_images` of them are read, evenly spread.
    n_images : int, default=64
        Most images to compare.
    weights : Path, optional
        The weights file or model folder, as for `covey.backbones.load_backbone`.

    Returns
    -------
    agreement : Agreement
        On the CPU, with all its processors.

    Raises
    ------
    InvalidValueError
        If none of the images can be read.
    """
    usual = load_backbone(name, device="cpu", weights=weights)
    pixels = _read(sources, usual, n_images)
    exact = load_backbone(name, device="cpu", weights=weights, precision="float32", runtime="torch")
    rows, rate = _timed(usual, pixels)
    expected, float32_rate = _timed(exact, pixels)
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (rows * expected).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    return Agreement(
        runtime=getattr(usual, "runtime", "numpy"),
        precision=getattr(usual, "precision", "float32"),
        n_images=len(pixels),
        cosine_min=float(cosines.min()),
        cosine_mean=float(cosines.mean()),
        images_per_s=rate,
        float32_images_per_s=float32_rate,
    )


def _read(sources: Sequence[Path], backbone: Backbone, n_images: int) -> ByteArray:
    """Read some of the images to pixels (n, h, w, 3); those that cannot be read are left out."""
    records = scan_images(sources).records
    pixels = []
    for record in records[:: max(1, -(-len(records) // n_images))]:
        with suppress(ImageReadError):
            pixels.append(preprocess(read_image(record.path, min_size=decode_size(backbone.spec)), backbone.spec))
    if not pixels:
        raise InvalidValueError(f"None of the {len(records)} images can be read; name a folder with some that can.")
    return np.stack(pixels)


def _timed(backbone: Backbone, pixels: ByteArray) -> tuple[FloatArray, float]:
    """Return the rows (n, d) and the images per second; the first image warms the caches."""
    backbone.encode_images(pixels[:1])
    start = time.perf_counter()
    rows = backbone.encode_images(pixels)
    return rows, len(pixels) / (time.perf_counter() - start)
