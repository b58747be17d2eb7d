"""Width and height in the header of a JPEG XL, whose plug-in decodes a whole file to find them."""

from typing import BinaryIO, Final

from covey.errors import ImageReadError

_CODESTREAM: Final = b"\xff\x0a"
_BOXES: Final = (b"jxlc", b"jxlp")
_MOST_BOXES: Final = 64
_SIZE_BITS: Final = (9, 13, 18, 30)
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def read_jxl_size(file: BinaryIO) -> tuple[int, int]:
    """Read the size of a JPEG XL.

    Parameters
    ----------
    file : binary file
        A codestream, or a container of boxes; its position is left anywhere.

    Returns
    -------
    size : tuple of int
        Width and height in pixels, as they are stored.

    Raises
    ------
    ImageReadError
        If there is no header.

    Notes
    -----
    ISO/IEC 18181-1, SizeHeader: one bit says that both sides are multiples of 8; the height; three bits for one of
    seven ratios, or none and the width.
    """
    head = _find_codestream(file)
    if not head.startswith(_CODESTREAM) or len(head) < 12:
        raise ImageReadError("ERROR_CORRUPT_IMAGE", "the JPEG XL has no header")
    bits = _Bits(int.from_bytes(head[2:], "little"))
    is_small = bits.take(1)
    height = _take_side(bits, is_small=bool(is_small))
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio - 1]
        return height * numerator // denominator, height
    return _take_side(bits, is_small=bool(is_small)), height


class _Bits:
    """The bits of a number, lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, n_bits: int) -> int:
        """Return the next bits."""
        taken = self._value & ((1 << n_bits) - 1)
        self._value >>= n_bits
        return taken


def _take_side(bits: _Bits, *, is_small: bool) -> int:
    if is_small:
        return 8 * (bits.take(5) + 1)
    return bits.take(_SIZE_BITS[bits.take(2)]) + 1


def _find_codestream(file: BinaryIO) -> bytes:
    """Return the first bytes of the codestream, from its box if it lies in one."""
    file.seek(0)
    head = file.read(16)
    if head.startswith(_CODESTREAM):
        return head
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        box = file.read(16)
        length, kind = int.from_bytes(box[:4], "big"), box[4:8]
        n_head = 8
        if length == 1:
            length, n_head = int.from_bytes(box[8:16], "big"), 16
        if kind in _BOXES:
            file.seek(start + n_head + (4 if kind == b"jxlp" else 0))  # a part begins with its number
            return file.read(16)
        if len(box) < 8 or length < n_head:
            break
        start += length
    return b""
