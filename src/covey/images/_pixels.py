"""From whatever a decoder gives to eight-bit RGB: depth, palette, inks and transparency."""

import numpy as np
from PIL import Image

_WHITE = (255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn a decoded picture of any mode into RGB of 8 bits a channel.

    Parameters
    ----------
    image : PIL.Image.Image
        Decoded, of any mode.

    Returns
    -------
    image : PIL.Image.Image
        Of mode ``"RGB"`` and the same size; the very picture that came in if it already fits.

    Notes
    -----
    - What is transparent shows white, as on a page; half transparent pixels are blended with white.
    - 16-bit grey keeps its upper byte, as Pillow does with 16-bit colour: the full scale of 65,535 becomes 255.
    - 32-bit grey has no scale of its own. Floats within [0, 1] are taken as shares of full brightness, integers within
      [0, 65535] as 16 bit, and everything else is stretched from its least to its greatest value.
    - CMYK goes to RGB by the plain formula, without colour management; embedded colour profiles are not applied.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", image.size, _WHITE)
    page.paste(image, mask=image)
    return page


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Bring grey values ``(h, w)`` of 16 or 32 bits to the scale 0 to 255."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif values.dtype.kind != "f" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((finite - low) * scale).astype(np.uint8)
