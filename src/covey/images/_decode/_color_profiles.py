"""Embedded color profiles: what turns an image's own colors into sRGB."""

import io
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, features

_INPUT_MODES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Color space of a profile to the mode of Pillow that it describes."""

_MOST_DIFFERENCE: Final = 2  # gray levels of 255 within which a profile counts as sRGB itself
_LATTICE: Final = (0, 51, 102, 153, 204, 255)


class Conversion(NamedTuple):
    """What to do with the colors of an image.

    Attributes
    ----------
    mode : str
        Mode of Pillow that `transform` takes: ``"RGB"``, ``"L"`` or ``"CMYK"``; empty if there is nothing to do.
    transform : ImageCmsTransform or None
        From there to sRGB; None if the colors are sRGB already, or the profile is ignored.
    problem : str
        Why the profile is ignored; empty if it is not.
    """

    mode: str = ""
    transform: Any = None
    problem: str = ""

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the colors of an opaque image as sRGB."""
        if self.transform is None:
            return image.convert("RGB")
        converted: Image.Image = self.transform.apply(image.convert(self.mode))
        return converted


def find_conversion(profile: object, mode: str) -> Conversion:
    """Say how the colors of an image become sRGB.

    Parameters
    ----------
    profile : object
        ``image.info.get("icc_profile")``: bytes of an ICC profile, or nothing.
    mode : str
        Of the image, as Pillow decoded it.

    Returns
    -------
    conversion : Conversion
        Nothing to do if there is no profile, if it is sRGB to within 2 gray levels, or if it is broken or describes
        another kind of image; `Conversion.problem` says so then.

    Notes
    -----
    Relative colorimetric with black point compensation, as image editors convert by default; computed by Little CMS.
    """
    if not isinstance(profile, bytes) or not profile or mode.startswith("LAB"):
        return Conversion()
    return _build_conversion(
        profile, "CMYK" if mode == "CMYK" else "gray" if mode.startswith(("L", "1", "I", "F")) else "RGB"
    )


@lru_cache(maxsize=64)  # a collection has few profiles, and building a transform takes milliseconds
def _build_conversion(profile: bytes, kind: str) -> Conversion:
    if not features.check("littlecms2"):
        return Conversion(problem="this build of Pillow has no color management")
    from PIL import ImageCms  # noqa: PLC0415 - some builds of Pillow do not have it

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        mode = _INPUT_MODES.get(space, "")
        if not mode or (mode == "CMYK") != (kind == "CMYK") or (mode == "L" and kind == "RGB"):
            return Conversion(problem=f"its color space is {space or 'unknown'}, the image's {kind}")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # without the cache of the last pixel, threads can share the transform
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )
        is_srgb = mode != "CMYK" and _changes_nothing(transform, mode)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a profile, the pixels are whole
        return Conversion(problem=" ".join(str(error).split()) or type(error).__name__)
    return Conversion() if is_srgb else Conversion(mode, transform)


def _changes_nothing(transform: Any, mode: str) -> bool:
    """Say whether a transform leaves a lattice of colors (gray levels, for gray) as they are."""
    if mode == "L":
        colors = np.arange(256, dtype=np.uint8)[None]
        expected = np.repeat(colors[:, :, None], 3, axis=2)
    else:
        colors = np.stack(np.meshgrid(_LATTICE, _LATTICE, _LATTICE), axis=-1).reshape(1, -1, 3).astype(np.uint8)
        expected = colors
    converted = np.asarray(transform.apply(Image.fromarray(colors)))
    return bool(np.abs(converted.astype(int) - expected).max() <= _MOST_DIFFERENCE)
