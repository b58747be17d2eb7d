"""The chunks of a PNG, as far as covey looks at them itself."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_PIXELS: Final = frozenset({b"IDAT", b"fdAT", b"IEND"})
_MOST_BYTES: Final = 2**31 - 1  # of one chunk, by the standard

METADATA_KINDS: Final = (_TEXTS, _TEXTS | {b"iCCP"}, _TEXTS | {b"iCCP", b"eXIf"})
"""Kinds of chunks without which the pixels are whole, from the least valuable on."""


def read_significant_bits(file: BinaryIO) -> int | None:
    """Return the largest number of significant bits of a color sample, None if the file does not say it.

    Parameters
    ----------
    file : binary file
        A PNG; its position is left anywhere.
    """
    file.seek(0)
    for kind, start, length in _iter_chunks(file):
        if kind in _PIXELS:
            return None
        if kind == b"sBIT" and 1 <= length <= 4:
            file.seek(start + 8)
            bits = file.read(length)
            n_colors = 1 if length <= 2 else 3  # a second or fourth one is that of alpha
            most = max(bits[:n_colors], default=0)
            return max(8, most) if 1 <= most <= 16 else None
    return None


def drop_chunks(file: BinaryIO, kinds: frozenset[bytes]) -> bytes | None:
    """Return a PNG without its chunks of some kinds; None if it has none of these.

    Parameters
    ----------
    file : binary file
        A PNG; its position is left anywhere.
    kinds : frozenset of bytes
        One of `METADATA_KINDS`.

    Returns
    -------
    data : bytes or None
        The same pixels.
    """
    file.seek(0)
    kept, has_dropped = [_SIGNATURE], False
    for kind, start, length in _iter_chunks(file):
        if kind in kinds:
            has_dropped = True
            continue
        file.seek(start)
        kept.append(file.read(12 + length))
    return b"".join(kept) if has_dropped else None


def _iter_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and length of the data of each chunk; a file that is cut short simply ends."""
    start = len(_SIGNATURE)
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if length > _MOST_BYTES:
            return
        yield kind, start, length
        if kind == b"IEND":
            return
        start += 12 + length
