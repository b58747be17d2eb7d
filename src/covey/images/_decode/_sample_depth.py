"""How many bits the samples of an image really use, and what brings them to eight."""

from typing import Any, Final

import numpy as np
from PIL import Image

from covey.types import ByteArray

_LEAST_BITS: Final = 8
_FULL_BITS: Final = 16
_SBIT: Final = b"sBIT"
_TIFF_BITS, _TIFF_MAX = 258, 281

LOW_BYTES: Final = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if np.little_endian else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if np.little_endian else "RGBA;16L",
}
"""Raw mode of 16-bit color, of which Pillow keeps the upper bytes, to the raw mode that keeps the lower ones."""


def declared_bits(image: Any, significant_bits: int | None) -> int | None:
    """Return how many bits the file says that a sample has, None if it does not say so.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened by its plug-in, not converted.
    significant_bits : int or None
        From the ``sBIT`` chunk of a PNG.

    Returns
    -------
    n_bits : int or None
        8 to 16. PNM and JPEG 2000 are scaled to 16 bits by Pillow as their headers say.
    """
    if image.format in ("PPM", "JPEG2000"):
        return _FULL_BITS
    if image.format == "PNG":
        return significant_bits
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return None
    bits, most = tags.get(_TIFF_BITS, (_FULL_BITS,)), tags.get(_TIFF_MAX)
    n_bits = max(bits) if isinstance(bits, tuple) else bits
    if isinstance(n_bits, int) and _LEAST_BITS < n_bits < _FULL_BITS:
        return n_bits
    most = max(most) if isinstance(most, tuple) and most else most
    return max(_LEAST_BITS, int(most).bit_length()) if isinstance(most, int) and 0 < most < 2**_FULL_BITS else None


def sample_bits(largest: int, declared: int | None) -> int:
    """Return how many bits samples use.

    Parameters
    ----------
    largest : int
        The largest sample, in [0, 65535].
    declared : int or None
        What the file says; see `declared_bits`.

    Returns
    -------
    n_bits : int
        8 to 16: what the file says where the samples keep to it, else the bits of the largest one.

    Notes
    -----
    A PNG whose samples were scaled up to 16 bits, as its standard requires, has samples above what ``sBIT`` says, and
    they use all 16 bits. A PNG whose samples were stored as they are (12 bits in the lower part of 16) keeps to it.
    """
    if declared is not None:
        return declared if largest < 2**declared else _FULL_BITS
    return max(_LEAST_BITS, largest.bit_length())


def scale_to_bytes(values: np.ndarray, n_bits: int) -> ByteArray:
    """Bring samples of 8 to 16 bits to 8.

    Parameters
    ----------
    values : ndarray, dtype uint16
        Samples of any shape.
    n_bits : int
        From `sample_bits`.

    Returns
    -------
    scaled : ndarray of the same shape, dtype uint8
        The upper byte of the `n_bits` bits: full scale becomes 255.
    """
    return (values >> (n_bits - _LEAST_BITS)).astype(np.uint8)


def join_bytes(high: Image.Image, low: Image.Image, declared: int | None) -> Image.Image:
    """Bring 16-bit color of lower depth to 8 bits.

    Parameters
    ----------
    high, low : PIL.Image.Image
        Upper and lower bytes of the samples, of the same mode, ``"RGB"`` or ``"RGBA"``.
    declared : int or None
        See `declared_bits`.

    Returns
    -------
    image : PIL.Image.Image
        Of the mode of `high`, scaled by the depth of the three colors together; alpha is too where it keeps to it.
    """
    n_bits = sample_bits(max(_largest(*pair) for pair in _channels(high, low)[:3]), declared)
    scaled = []
    for upper, lower in _channels(high, low):
        values = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
        bits = n_bits if values.max() < 2**n_bits else _FULL_BITS
        scaled.append(Image.fromarray(scale_to_bytes(values, bits)))
    return Image.merge(high.mode, scaled)


def _channels(high: Image.Image, low: Image.Image) -> list[tuple[Image.Image, Image.Image]]:
    return list(zip(high.split(), low.split(), strict=True))


def _largest(upper: Image.Image, lower: Image.Image) -> int:
    return int((np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)).max())
