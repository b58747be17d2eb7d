"""The JPEG previews in camera raw files: found by their directories, never developed from the sensor's data."""

import struct
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from covey.images._decode._jpeg_rows import iter_segments

LEAST_SIDE_PX: Final = 320
"""Longer side that a preview must have; cameras store one of 160 x 120 beside it."""

_MOST_DIRECTORIES: Final = 64
_MOST_ENTRIES: Final = 1024
_MOST_PREVIEW_BYTES: Final = 2**27
_HEAD_BYTES: Final = 2**18  # metadata of a preview come before its size
_MAGICS: Final = (42, 43, 0x4F52, 0x5352, 0x0055)  # TIFF, Olympus (two), Panasonic
_TYPE_BYTES: Final = {1: 1, 3: 2, 4: 4, 7: 1, 13: 4}
_COMPRESSION, _STRIPS, _ORIENTATION, _STRIP_BYTES = 259, 273, 274, 279
_SUB_DIRECTORIES, _JPEG_START, _JPEG_BYTES, _EXIF, _PANASONIC = 330, 513, 514, 34665, 0x2E
_FUJIFILM: Final = b"FUJIFILMCCD-RAW"
_SIZES: Final = frozenset({0xC0, 0xC1, 0xC2})  # frames that a JPEG reader knows; lossless sensor data are 0xC3


class Preview(NamedTuple):
    """A JPEG within a raw file.

    Attributes
    ----------
    start, n_bytes : int
        Where it lies.
    width, height : int
        Size in pixels as it is stored.
    orientation : int
        EXIF orientation of the raw file, 1 to 8, for a preview that has none itself.
    """

    start: int
    n_bytes: int
    width: int
    height: int
    orientation: int


def find_preview(file: BinaryIO) -> Preview | None:
    """Find the largest JPEG preview of a raw file.

    Parameters
    ----------
    file : binary file
        Open for reading; its position is left anywhere.

    Returns
    -------
    preview : Preview or None
        None if there is none of at least 320 pixels, or the file is neither based on TIFF nor Fujifilm's.
    """
    places, orientation = _find_places(file)
    found = []
    for start, n_bytes in set(places):
        file.seek(start)
        size = _jpeg_size(file.read(min(n_bytes, _HEAD_BYTES)))
        if size is not None and max(size) >= LEAST_SIDE_PX and n_bytes <= _MOST_PREVIEW_BYTES:
            found.append(Preview(start, n_bytes, *size, orientation))
    return max(found, key=lambda preview: (preview.width * preview.height, -preview.start), default=None)


def _find_places(file: BinaryIO) -> tuple[list[tuple[int, int]], int]:
    """Return where JPEG files may lie, as start and length, and the orientation."""
    file.seek(0)
    head = file.read(92)
    if head.startswith(_FUJIFILM) and len(head) == 92:
        return [struct.unpack(">II", head[84:92])], 1
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    if not order or len(head) < 8 or struct.unpack(order + "H", head[2:4])[0] not in _MAGICS:
        return [], 1
    places: list[tuple[int, int]] = []
    orientation = 0
    for entries in _iter_directories(file, order, struct.unpack(order + "I", head[4:8])[0]):
        if not orientation:
            orientation = next(iter(entries.get(_ORIENTATION, ())), 1)
        places += zip(entries.get(_JPEG_START, ()), entries.get(_JPEG_BYTES, ()), strict=False)
        if set(entries.get(_COMPRESSION, ())) & {6, 7} and len(entries.get(_STRIPS, ())) == 1:
            places += zip(entries[_STRIPS], entries.get(_STRIP_BYTES, ()), strict=False)
        if len(entries.get(_PANASONIC, ())) == 2:
            places.append((entries[_PANASONIC][0], entries[_PANASONIC][1]))
    return places, orientation if 1 <= orientation <= 8 else 1


def _iter_directories(file: BinaryIO, order: str, first: int) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yield the whole numbers in each directory: those of the chain, and those that an entry points to."""
    waiting, seen = deque([first]), set[int]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        start = waiting.popleft()
        if start in seen or start == 0:
            continue
        seen.add(start)
        file.seek(start)
        count = file.read(2)
        n_entries = struct.unpack(order + "H", count)[0] if len(count) == 2 else 0
        body = file.read(12 * n_entries + 4)
        if not 0 < n_entries <= _MOST_ENTRIES or len(body) < 12 * n_entries:
            continue
        entries = {}
        for place in range(0, 12 * n_entries, 12):
            tag, kind, length = struct.unpack_from(order + "HHI", body, place)
            entries[tag] = _read_numbers(file, order, (tag, kind, length), body[place + 8 : place + 12])
        waiting.extend(entries.get(_SUB_DIRECTORIES, ())[:8])
        waiting.extend(entries.get(_EXIF, ())[:1])
        if len(body) == 12 * n_entries + 4:
            waiting.append(struct.unpack(order + "I", body[-4:])[0])
        yield entries


def _read_numbers(file: BinaryIO, order: str, entry: tuple[int, int, int], inline: bytes) -> tuple[int, ...]:
    """Return the numbers of an entry (tag, type, count), whose value lies in its last four bytes or elsewhere."""
    tag, kind, length = entry
    width = _TYPE_BYTES.get(kind, 0)
    if tag == _PANASONIC:  # all of the entry's value is the file
        return struct.unpack(order + "I", inline)[0], length
    if width == 0 or not 0 < length <= _MOST_ENTRIES:
        return ()
    data = inline
    if width * length > 4:
        file.seek(struct.unpack(order + "I", inline)[0])
        data = file.read(width * length)
    if len(data) < width * length:
        return ()
    return struct.unpack(f"{order}{length}{ {1: 'B', 2: 'H', 4: 'I'}[width] }", data[: width * length])


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that Pillow reads, None for anything else."""
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    for marker, content in iter_segments(head):
        if marker in _SIZES and len(content) >= 5:
            height, width = struct.unpack_from(">HH", content, 1)
            return width, height
        if 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
    return None
