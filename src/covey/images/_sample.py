"""Pictures to try covey with, from packages that are installed anyway; nothing is downloaded."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from covey.images._files import write_whole

_MARGIN = 2
_SCALE = 8


def sample_images(out: Path) -> Path:
    """Write scikit-learn's handwritten digits as pictures, and their classes beside them.

    Parameters
    ----------
    out : Path
        Folder to write to; it is made if it is missing. What is there already is kept.

    Returns
    -------
    folder : Path
        ``out/digits`` with 1,797 PNG files of 96 x 96 pixels, dark ink on white, named by number alone. The truth is
        in ``out/digits.csv`` with the header ``filename,class``; it is written last, so where it is, all pictures are.

    Notes
    -----
    The digits are the test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), in
    8 x 8 pixels of 17 grey levels. They get a margin of two of these, since backbones look at the centre alone, and
    are scaled up smoothly, since backbones have learned from smooth pictures: k-means on EfficientNet-Lite0's features
    of every fourth digit finds the ten with an accuracy of 0.70; it is 0.53 without the margin, 0.35 with neither.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second, which a scan need not wait for

    folder, table = out / "digits", out / "digits.csv"
    if table.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    names = [f"{index:04d}.png" for index in range(len(digits.target))]
    for name, grey in zip(names, digits.images, strict=True):
        _draw(grey).save(folder / name)
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows(
        [("filename", "class"), *zip(names, digits.target.tolist(), strict=True)]
    )
    write_whole(table, rows.getvalue().encode())
    return folder


def _draw(grey: np.ndarray) -> Image.Image:
    """Draw one digit ``(8, 8)``, 0 for paper to 16 for ink."""
    paper = np.pad(np.rint(255 - grey * (255 / 16)), _MARGIN, constant_values=255)
    drawn = Image.fromarray(paper.astype(np.uint8))
    return drawn.resize((drawn.width * _SCALE, drawn.height * _SCALE), Image.Resampling.BICUBIC)
