r"""Text that comes from other programs and goes to them: encodings, separators, and cells of tables.

It lies below every room that reads or writes text. May import `covey.errors`.
"""

import codecs
import csv
import io
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TextIO

from covey.errors import InvalidValueError

_MARKS: Final = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_QUOTED_FORMULA: Final = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_LONGEST_CELL: Final = 2**31 - 1
_LIMIT_LOCK: Final = threading.Lock()


class DecodedText(NamedTuple):
    """Text, and the encoding in which it was written, as a person calls it: ``"UTF-16"``."""

    text: str
    encoding: str


class Table(NamedTuple):
    """The rows of a table without its header, as lists of cells, and how the file was understood."""

    header: list[str]
    rows: list[list[str]]
    form: str


def decode_text(data: bytes, subject: str) -> DecodedText:
    """Decode text whose encoding nobody states.

    Parameters
    ----------
    data : bytes
        The whole file.
    subject : str
        What it is, for the message: ``"The vocabulary 'a.txt'"``.

    Returns
    -------
    decoded : DecodedText
        By its byte order mark; without one UTF-16 if every other byte is zero, UTF-8 if it is valid, else cp1252, the
        encoding of Windows in western Europe, which Latin-1 text is too.

    Raises
    ------
    InvalidValueError
        If it is not text.
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return DecodedText(_decode(data, codec, name, subject), name)
    codec = unmarked_utf16(data)
    if codec:
        return DecodedText(_decode(data, codec, "UTF-16", subject), "UTF-16")
    if b"\0" in data:
        raise InvalidValueError(
            f"{subject} holds control characters (a zero byte), so it is not text; save it as text in UTF-8."
        )
    try:
        return DecodedText(data.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError:
        return DecodedText(_decode(data, "cp1252", "UTF-8 or cp1252", subject), "cp1252")


def unmarked_utf16(data: bytes) -> str:
    """Return the codec of UTF-16 without a byte order mark, or nothing if bytes are not that.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    codec : str
        ``"utf-16-le"`` or ``"utf-16-be"`` if every other byte is zero, or most of these are and there are line ends
        of two bytes; ``""`` otherwise.
    """
    if len(data) < 4 or len(data) % 2:
        return ""
    for codec, letters, zeros in (("utf-16-le", data[::2], data[1::2]), ("utf-16-be", data[1::2], data[::2])):
        n_zeros = zeros.count(0)
        has_lines = any(letter == 10 and zero == 0 for letter, zero in zip(letters, zeros, strict=True))
        if 0 not in letters and (n_zeros == len(zeros) or (has_lines and 2 * n_zeros > len(zeros))):
            return codec
    return ""


def read_table(data: bytes, subject: str, columns: Sequence[Sequence[str]]) -> Table:
    """Read a table with a header, separated by commas, semicolons, tabs or bars.

    Parameters
    ----------
    data : bytes
        The whole file, in any encoding that `decode_text` knows.
    subject : str
        What it is, for the message.
    columns : sequence of sequence of str
        Names of the columns that are needed, for each the names that it may have. The separator is the one with which
        the header has most of them.

    Returns
    -------
    table : Table
        Rows without any cell are left out; a row may be shorter than the header.

    Raises
    ------
    InvalidValueError
        If it is not text or not a table. Missing columns are left to the caller.
    """
    decoded = decode_text(data, subject)
    first = decoded.text.partition("\n")[0].rstrip("\r")
    known = {name for names in columns for name in names}
    separator = max(_SEPARATORS, key=lambda mark: len(known & {cell.strip(' "').lower() for cell in first.split(mark)}))
    try:
        with _long_cells():
            rows = [row for row in csv.reader(io.StringIO(decoded.text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise InvalidValueError(f"{subject} is not a table: {error}; save it as CSV in UTF-8.") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    return Table(header, rows[1:], f"{decoded.encoding}, {_SEPARATORS[separator]}-separated")


def write_table(file: TextIO, rows: Iterable[Sequence[Any]], *, is_raw: bool = False) -> None:
    r"""Write the rows of a table, comma-separated, with ``\n`` at line ends.

    Parameters
    ----------
    file : file object
        Open for text in UTF-8 without translation of line ends.
    rows : iterable of sequence
        The header first.
    is_raw : bool, default=False
        Write text as it is. Otherwise cells that a spreadsheet would run as a formula are marked; see `mark_formula`.
    """
    # Python before 3.13 quotes a carriage return only if the line end has one.
    writer = csv.writer(_LineEnds(file), lineterminator="\r\n")
    for row in rows:
        writer.writerow(row if is_raw else [mark_formula(cell) for cell in row])


class _LineEnds:
    r"""A file whose lines, each written at once, end with ``\n`` in place of ``\r\n``."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def mark_formula(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula.

    Parameters
    ----------
    cell : object
        Text that begins with ``=``, ``+``, ``-``, ``@``, a tab, a line break, or one of these four in full width (after
        apostrophes, so that the mark can be taken away again) gets one. Everything else, numbers too, stays as it is.

    Returns
    -------
    cell : object
        What to write; `unmark_formula` gives the text back.
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unmark_formula(cell: str) -> str:
    """Return text as it was before `mark_formula`.

    Parameters
    ----------
    cell : str
        Text from a table.

    Returns
    -------
    cell : str
        Without one apostrophe, if it is one that `mark_formula` puts there.
    """
    return cell[1:] if _QUOTED_FORMULA.match(cell) else cell


def same_name(name: str) -> str:
    """Return a file name in the form in which names are compared: composed (NFC), which macOS decomposes."""
    return unicodedata.normalize("NFC", name)


def printable(text: str) -> str:
    r"""Return text in which nothing can move a cursor, hide or reorder: each such character is shown as its escape.

    Parameters
    ----------
    text : str
        E.g. a file name, which may hold any character but ``/`` and the zero byte.

    Returns
    -------
    text : str
        Control characters, line breaks, lone surrogates and marks that reverse the direction are ``\x1b`` and the like.
    """
    return text if text.isprintable() else "".join(_escape(letter) for letter in text)


def _escape(letter: str) -> str:
    """Return a character, or its escape where a terminal would act on it."""
    acts = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in _TURNS
    return letter.encode("unicode_escape").decode("ascii") if acts else letter


_TURNS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _decode(data: bytes, codec: str, name: str, subject: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            f"{subject} is not text in {name} (byte {error.start} is not allowed); save it as text in UTF-8."
        ) from error


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the module csv read cells of any length; its limit is the process's, so one reader changes it at a time."""
    with _LIMIT_LOCK:
        former = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(former)
