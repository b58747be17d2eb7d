"""JPEG files that lack their last bytes: how many rows are there, and whether all passes are."""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from PIL import Image

LEAST_SHARE: Final = 0.95
"""Share of the rows that must be there for the rest to be forgiven."""

_END: Final = b"\xff\xd9"
_JUNK_BYTES: Final = 4096
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE: Final = 0xC2
_SCAN: Final = 0xDA
_N_COEFFICIENTS: Final = 64


def complete_jpeg(data: bytes, decode: Callable[[io.BytesIO], Image.Image]) -> tuple[Image.Image, float] | None:
    """Decode a JPEG that is cut off near its end.

    Parameters
    ----------
    data : bytes
        The file.
    decode : callable
        Turns a file of a whole JPEG into an image of mode RGB, L or CMYK, reduced or not.

    Returns
    -------
    decoded : tuple of PIL.Image.Image and float, or None
        The image, whose missing part is gray, and the share of its rows that is there, in [0.95, 1]. None if less is
        there, or a pass of a progressive file is missing.

    Notes
    -----
    What is missing is found by decoding twice, with two different continuations: the first row that differs is the
    first that the file does not determine. That holds for the last pass of a progressive file too.
    """
    if not _has_begun_all_passes(data):
        return None
    data = data.rstrip(b"\xff")  # half a marker would swallow what is appended
    rng = np.random.default_rng(0)
    # bytes below 255 begin no marker, so the decoder takes them as more entropy-coded data
    tails = [rng.integers(0, 255, _JUNK_BYTES, dtype=np.uint8).tobytes() for _ in range(2)]
    first, second = (np.asarray(decode(io.BytesIO(data + tail + _END))) for tail in tails)
    if first.shape != second.shape:
        return None
    differing = np.flatnonzero((first != second).reshape(len(first), -1).any(axis=1))
    share = float(differing[0]) / len(first) if len(differing) else 1.0
    return (decode(io.BytesIO(data + _END)), share) if share >= LEAST_SHARE else None


def iter_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker (its second byte) and the content of each segment; entropy-coded data are skipped."""
    place = 2
    while place + 4 <= len(data):
        place = data.find(b"\xff", place)
        if place < 0 or place + 4 > len(data):
            return
        marker = data[place + 1]
        if marker in (0x00, 0xFF) or marker in _STANDALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            return
        length = struct.unpack_from(">H", data, place + 2)[0]
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + max(2, length)


def _has_begun_all_passes(data: bytes) -> bool:
    """Say whether the scan in which a JPEG ends is the last that it needs.

    A baseline file needs one scan with each component. A progressive one needs each coefficient of each component down
    to its last bit, Al = 0 (ITU T.81, G.1.1.1).
    """
    missing: dict[int, set[int]] = {}
    is_in_passes = False
    for marker, content in iter_segments(data):
        if marker in _FRAMES and len(content) >= 6:
            is_in_passes = marker == _PROGRESSIVE
            missing = {component: set(range(_N_COEFFICIENTS)) for component in content[6::3][: content[5]]}
        elif marker == _SCAN and content and len(content) >= 4 + 2 * content[0]:
            n_components = content[0]
            first, last, bits = content[1 + 2 * n_components : 4 + 2 * n_components]
            done = set(range(first, last + 1)) if is_in_passes else set(range(_N_COEFFICIENTS))
            if is_in_passes and bits & 15:
                continue
            for component in content[1 : 1 + 2 * n_components : 2]:
                missing.get(component, set()).difference_update(done)
    return bool(missing) and not any(missing.values())
