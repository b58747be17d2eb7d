"""From an opened file to upright eight-bit sRGB, within the memory budget."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from PIL import Image

from covey.errors import ImageReadError
from covey.images._decode._color_profiles import find_conversion
from covey.images._decode._jpeg_rows import complete_jpeg
from covey.images._decode._memory_budget import RETURNED_BYTES, reading_budget, return_free_memory
from covey.images._decode._png_chunks import read_significant_bits
from covey.images._decode._sample_depth import LOW_BYTES, declared_bits, join_bytes
from covey.images._formats import (
    AVIF,
    GIF,
    HEIF,
    JPEG,
    JPEG2000,
    JPEG_XL,
    MAX_PIXELS,
    PNG,
    TIFF,
    WEBP,
    Format,
)
from covey.images._pixels import BAND_PIXELS, to_rgb

REDUCED_FROM_PIXELS: Final = 2**25
"""Images larger than this are averaged over blocks while they are converted, if less is enough."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it; 5 to 8 exchange width and height."""

EXCHANGING: Final = frozenset({5, 6, 7, 8})

_REDUCED_MARGIN: Final = 4  # an averaged image keeps four times the sides that are enough
_MOST_FRAMES: Final = 64  # that are searched for the first with content
_HEAD_BYTES: Final = 2**16
_ANIMATED: Final = (GIF, PNG, WEBP)
_MODE_BYTES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
# bytes a pixel that the decoder holds beside the image: samples of 32 bits, a second canvas, a strip
_DECODER_BYTES: Final = {JPEG2000: 12, AVIF: 8, HEIF: 8, JPEG_XL: 8, WEBP: 8, TIFF: 4}
_COEFFICIENT_BYTES: Final = 6  # a pixel of a progressive JPEG: three components of 16 bits
_BAND_BYTES: Final = 24  # a pixel that is being converted


class Note(NamedTuple):
    """Something about an image that a person may want to know although it was read.

    Attributes
    ----------
    code : str
        ``NOTE_TRUNCATED``, ``NOTE_FIRST_PAGE``, ``NOTE_LATER_FRAME``, ``NOTE_PROFILE_IGNORED``,
        ``NOTE_METADATA_IGNORED`` or ``NOTE_RAW_PREVIEW``.
    message : str
        The same in words.
    """

    code: str
    message: str


class DecodedImage(NamedTuple):
    """A decoded image and what is to be said of it.

    Attributes
    ----------
    image : PIL.Image.Image
        With its pixels in memory.
    notes : tuple of Note
        What was unusual about the file; empty for most.
    """

    image: Image.Image
    notes: tuple[Note, ...]


@dataclass(slots=True)
class OpenedImage:
    """An image whose header was read.

    Attributes
    ----------
    image : PIL.Image.Image or None
        Not decoded; None once `load_rgb` has used it up, so that its pixels are freed there.
    turn : int
        EXIF orientation that it still needs, 1 to 8.
    format : Format
        Which plug-in opened it.
    file : binary file
        From which it was opened.
    reopen : callable
        Opens a file of this format anew.
    notes : tuple of Note
        What there is to say already.
    """

    image: Any
    turn: int
    format: Format
    file: BinaryIO
    reopen: Callable[[BinaryIO], Any]
    notes: tuple[Note, ...] = ()


def load_rgb(opened: OpenedImage, min_size: tuple[int, int] | None) -> DecodedImage:
    """Decode an opened image.

    Parameters
    ----------
    opened : OpenedImage
        It is used up.
    min_size : tuple of int or None
        As for `covey.images.read_image`.

    Returns
    -------
    decoded : DecodedImage
        Of mode ``"RGB"``, upright, without metadata.

    Raises
    ------
    ImageReadError
        If it has too many pixels for its format.
    """
    enough = min_size[::-1] if min_size and opened.turn in EXCHANGING else min_size
    full_size = opened.image.size
    size = _reduce_decoder(opened, enough) if enough is not None else full_size
    check_pixels(size)
    factor = _block_factor(size, enough)
    n_bytes = _needed_bytes(opened, full_size, size, factor)
    with reading_budget().hold(n_bytes):
        try:
            return _load(opened, factor)
        finally:
            opened.image = None
            if n_bytes >= RETURNED_BYTES:
                return_free_memory()


def complete_cut_jpeg(data: bytes, opened: OpenedImage, min_size: tuple[int, int] | None) -> DecodedImage | None:
    """Decode a JPEG that lacks its last bytes, None if more than 5 % of its rows are missing.

    Parameters
    ----------
    data : bytes
        The file.
    opened : OpenedImage
        The same file, opened.
    min_size : tuple of int or None
        As for `load_rgb`.
    """
    enough = min_size[::-1] if min_size and opened.turn in EXCHANGING else min_size

    def decode(file: BytesIO) -> Image.Image:
        return load_rgb(replace(opened, image=opened.reopen(file), file=file, turn=1), enough).image

    completed = complete_jpeg(data, decode)
    if completed is None:
        return None
    image, share = completed
    said = "its last bytes are missing" if share == 1 else f"only {share:.1%} of its rows are there, the rest is gray"
    return DecodedImage(
        _turn(image, opened.turn), (*opened.notes, Note("NOTE_TRUNCATED", f"the file is cut short: {said}"))
    )


def check_pixels(size: tuple[int, int]) -> None:
    """Refuse a size, in pixels, that is not decoded here.

    Raises
    ------
    ImageReadError
        ``ERROR_TOO_LARGE`` with both numbers.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageReadError(
            "ERROR_TOO_LARGE",
            f"the image has {width} x {height} = {width * height / 1e6:,.0f} million pixels; "
            f"the limit is {MAX_PIXELS / 1e6:,.0f} million: scale it down first",
        )


def _reduce_decoder(opened: OpenedImage, enough: tuple[int, int]) -> tuple[int, int]:
    """Let the decoder itself give a smaller image, and return its size.

    A JPEG is reduced by 2, 4 or 8, a JPEG 2000 by as many of its resolution levels as it has.
    """
    image = opened.image
    if opened.format is JPEG2000:
        times = min(image.width // enough[0], image.height // enough[1])
        most = min(_count_levels(opened.file), times.bit_length() - 1)
        # where the standard rounds up and Pillow rounds to the nearest, Pillow cannot decode that level
        fitting = (
            n for n in range(most, 0, -1) if all((side + 2 ** (n - 1)) >> n == -(-side // 2**n) for side in image.size)
        )
        image.reduce = levels = next(fitting, 0)
        return -(-image.width // 2**levels), -(-image.height // 2**levels)
    image.draft(None, enough)
    return image.width, image.height


def _count_levels(file: BinaryIO) -> int:
    """Return how often a JPEG 2000 can be halved, from its COD segment (ITU T.800, A.6.1); 0 if that is not found."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    place = head.find(b"\xff\x4f\xff\x51") + 2
    while 2 <= place <= len(head) - 10:
        if head[place : place + 2] == b"\xff\x52":
            return head[place + 9]
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return 0


def _block_factor(size: tuple[int, int], enough: tuple[int, int] | None) -> int:
    """Return over how many pixels a side a huge image is averaged; 1 for any other."""
    if enough is None or size[0] * size[1] <= REDUCED_FROM_PIXELS:
        return 1
    return max(1, min(side // (_REDUCED_MARGIN * least) for side, least in zip(size, enough, strict=True)))


def _needed_bytes(opened: OpenedImage, full_size: tuple[int, int], size: tuple[int, int], factor: int) -> int:
    """Estimate the memory that decoding and converting an image takes at its peak."""
    image = opened.image
    n_pixels = size[0] * size[1]
    a_pixel = _MODE_BYTES.get(image.mode, 4) + _DECODER_BYTES.get(opened.format, 0)
    n_bytes = n_pixels * a_pixel + 2 * 4 * n_pixels // factor**2 + _BAND_BYTES * min(n_pixels, BAND_PIXELS)
    if opened.format is JPEG and image.info.get("progressive"):
        n_bytes += _COEFFICIENT_BYTES * full_size[0] * full_size[1]
    return n_bytes


def _load(opened: OpenedImage, factor: int) -> DecodedImage:
    """Decode, convert and turn."""
    image, opened.image = opened.image, None
    notes = list(opened.notes)
    if opened.format is TIFF:
        notes += _count_pages(image)
    has_low_bytes = _keeps_upper_bytes(image)
    image.load()
    if opened.format in _ANIMATED and getattr(image, "is_animated", False):
        notes += _seek_content(image)
    conversion = find_conversion(image.info.get("icc_profile"), image.mode)
    if conversion.problem:
        notes.append(Note("NOTE_PROFILE_IGNORED", f"its color profile is ignored: {conversion.problem}"))
    bits = None
    if has_low_bytes or image.mode.startswith("I"):
        bits = declared_bits(image, read_significant_bits(opened.file) if opened.format is PNG else None)
    if has_low_bytes and max(np.asarray(channel).max() for channel in image.split()[:3]) < 128:
        info = image.info
        image = join_bytes(image, _load_lower_bytes(opened), bits)
        image.info = info
    rgb = to_rgb(image, declared_bits=bits, conversion=conversion, factor=factor)
    rgb = _turn(rgb, opened.turn)
    rgb.info.clear()  # nothing that could be applied twice, or that a thumbnail would carry along
    return DecodedImage(rgb, tuple(notes))


def _turn(image: Image.Image, turn: int) -> Image.Image:
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def _keeps_upper_bytes(image: Any) -> bool:
    """Say whether this is 16-bit color, of which Pillow is going to keep the upper bytes."""
    return image.mode in ("RGB", "RGBA") and bool(image.tile) and all(_raw_mode(t) in LOW_BYTES for t in image.tile)


def _raw_mode(tile: Any) -> str:
    args = tile[3]
    return str(args if isinstance(args, str) else args[0]) if args else ""


def _load_lower_bytes(opened: OpenedImage) -> Image.Image:
    """Decode 16-bit color once more, for its lower bytes."""
    opened.file.seek(0)
    image: Any = opened.reopen(opened.file)
    image.tile = [
        (*tile[:3], LOW_BYTES[tile[3]] if isinstance(tile[3], str) else (LOW_BYTES[tile[3][0]], *tile[3][1:]))
        for tile in image.tile
    ]
    image.load()
    lower: Image.Image = image
    return lower


def _seek_content(image: Any) -> list[Note]:
    """Go on to the first frame that is not of a single color; stay at the first if there is none."""
    number = 0
    try:
        while _is_uniform(image) and number + 1 < min(image.n_frames, _MOST_FRAMES):
            number += 1
            image.seek(number)
            image.load()
        if number and _is_uniform(image):
            number = 0
    except (EOFError, OSError, SyntaxError, ValueError):  # the animation ends early; its first frame is whole
        number = 0
    if number == 0:
        if image.tell() != 0:
            image.seek(0)
            image.load()
        return []
    return [Note("NOTE_LATER_FRAME", f"its first frame is empty: frame {number + 1} was taken")]


def _is_uniform(image: Image.Image) -> bool:
    extrema: Any = to_rgb(image).getextrema()  # of three channels
    return all(low == high for low, high in extrema)


def _count_pages(image: Any) -> list[Note]:
    """Say so if a TIFF has further pages."""
    try:
        n_pages = image.n_frames
    except Exception:  # noqa: BLE001 - a chain of pages that is broken says nothing about the first
        return []
    return [Note("NOTE_FIRST_PAGE", f"it has {n_pages} pages: the first was taken")] if n_pages > 1 else []
