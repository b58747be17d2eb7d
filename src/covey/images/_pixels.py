"""From whatever a decoder gives to eight-bit sRGB: depth, palette, inks, color profile and transparency."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from covey.images._decode._color_profiles import Conversion
from covey.images._decode._sample_depth import sample_bits, scale_to_bytes

BAND_PIXELS: Final = 2**22
"""How many pixels are converted at once: what conversion takes besides the decoded image is bounded by it."""

_WHITE: Final = (255, 255, 255)
_AS_IT_IS: Final = Conversion()


def to_rgb(
    image: Image.Image, *, declared_bits: int | None = None, conversion: Conversion = _AS_IT_IS, factor: int = 1
) -> Image.Image:
    """Turn a decoded image of any mode into sRGB of 8 bits a channel.

    Parameters
    ----------
    image : PIL.Image.Image
        Decoded, of any mode.
    declared_bits : int, optional
        Bits of a 16-bit gray sample, where the file says it.
    conversion : Conversion, optional
        What its color profile asks for; nothing if not given.
    factor : int, default=1
        Blocks of ``factor x factor`` pixels are averaged to one.

    Returns
    -------
    image : PIL.Image.Image
        Of mode ``"RGB"``, its sides divided by `factor` and rounded up; the very image that came in if it fits already.

    Notes
    -----
    - What is transparent shows white, as on a page; half transparent pixels are blended with white.
    - 16-bit gray is scaled by the bits it uses: those that the file declares, else the fewest that hold the largest
      sample, at least 8. So 12-bit data stored in 16 bits has its full brightness.
    - 32-bit gray has no scale of its own. Floats within [0, 1] are taken as shares of full brightness, integers within
      [0, 65535] as 16-bit gray is, and everything else is stretched from its least to its greatest value.
    - CMYK without a profile goes to RGB by the plain formula.
    """
    is_gray_scale = image.mode.startswith(("I", "F"))
    if image.mode == "RGB" and "transparency" not in image.info and conversion.transform is None:
        return image if factor == 1 else image.reduce(factor)
    scale = _find_scale(image, declared_bits) if is_gray_scale else None
    if image.width * image.height <= BAND_PIXELS:
        return _reduce(_convert(image, scale, conversion), factor)
    result = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, bottom in _bands(image, factor):
        band = image.crop((0, top, image.width, bottom))
        result.paste(_reduce(_convert(band, scale, conversion), factor), (0, top // factor))
    return result


def _bands(image: Image.Image, factor: int) -> Iterator[tuple[int, int]]:
    """Yield the rows of bands of whole blocks."""
    height = factor * max(1, BAND_PIXELS // (image.width * factor))
    for top in range(0, image.height, height):
        yield top, min(top + height, image.height)


def _reduce(image: Image.Image, factor: int) -> Image.Image:
    return image if factor == 1 else image.reduce(factor)


def _convert(image: Image.Image, scale: "_Scale | None", conversion: Conversion) -> Image.Image:
    if scale is not None:
        return conversion.apply(Image.fromarray(_to_bytes(np.asarray(image), scale)))
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"), conversion)
    if image.mode == "CMYK" or conversion.mode == "L":
        return conversion.apply(image)
    return conversion.apply(image.convert("RGB"))


def _on_white(image: Image.Image, conversion: Conversion) -> Image.Image:
    page = Image.new("RGB", image.size, _WHITE)
    page.paste(conversion.apply(image.convert("RGB")), mask=image)
    return page


_Scale = tuple[float, float] | int
"""Least and greatest gray value, or the bits of a sample."""


def _find_scale(image: Image.Image, declared_bits: int | None) -> _Scale:
    """Say how gray values of 16 or 32 bits become bytes."""
    low, high, kind = np.inf, -np.inf, ""
    for top, bottom in _bands(image, 1):
        values = np.asarray(image.crop((0, top, image.width, bottom)))
        kind = values.dtype.kind
        if kind == "f":
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if kind != "f" and low >= 0 and high <= 65535:
        return sample_bits(int(high), declared_bits)
    return (0.0, 1.0) if kind == "f" and low >= 0 and high <= 1 else (low, high)


def _to_bytes(values: np.ndarray, scale: _Scale) -> np.ndarray:
    """Bring gray values ``(h, w)`` of 16 or 32 bits to the scale 0 to 255."""
    if isinstance(scale, int):
        return scale_to_bytes(values.astype(np.uint16), scale)
    low, high = scale
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    factor = 255 / (high - low) if high > low else 0.0
    return np.rint((finite - low) * factor).astype(np.uint8)
