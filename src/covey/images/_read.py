"""Opening and decoding one image, whatever is wrong with it.

Everything that a file can have wrong ends as an `ImageReadError` with one of the codes of ``skipped.csv``; nothing else
leaves this module. Messages do not repeat the path, which is beside them wherever they are shown.
"""

import errno
import hashlib
import os
import stat
import threading
import warnings
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from PIL import ExifTags, Image, features

from covey.errors import ImageReadError
from covey.images._decode._jxl_header import read_jxl_size
from covey.images._decode._loaded_images import (
    EXCHANGING,
    DecodedImage,
    Note,
    OpenedImage,
    check_pixels,
    complete_cut_jpeg,
    load_rgb,
)
from covey.images._decode._png_chunks import METADATA_KINDS, drop_chunks
from covey.images._decode._raw_previews import find_preview
from covey.images._formats import (
    JPEG,
    JPEG_XL,
    PNG,
    RAW,
    SIGNATURE_BYTES,
    TIFF,
    UNREADABLE_SUFFIXES,
    Format,
    sniff_format,
)
from covey.types import ImageRecord

Result = TypeVar("Result")

TRANSIENT_CODES: Final = frozenset(
    {"ERROR_MISSING_FILE", "ERROR_PERMISSION", "ERROR_IO", "ERROR_MEMORY", "ERROR_CHANGED"}
)
"""Codes of failures that may pass without the image itself changing: they are tried again with each run."""

_OUT_OF_MEMORY = "out of memory"
_NOWHERE = (errno.ELOOP, errno.ENAMETOOLONG)


def read_image(path: Path, *, min_size: tuple[int, int] | None = None) -> Image.Image:
    """Decode one image, upright and in sRGB.

    Parameters
    ----------
    path : Path
        The file; its content, not its suffix, decides how it is read. Links are followed.
    min_size : tuple of int, optional
        Width and height in pixels, of the upright image, that are enough. A JPEG is then decoded at a half, a quarter
        or an eighth of its size as long as both sides keep at least these, and a JPEG 2000 at a lower resolution level;
        see `decode_size`. Other formats are decoded whole; above 33 million pixels they are then averaged over blocks,
        down to no less than four times these sides.

    Returns
    -------
    image : PIL.Image.Image
        Of mode ``"RGB"``, turned as its EXIF orientation says, loaded, with no file held open and no metadata. Of an
        animation the first frame that is not of a single color, of a document the first page, of a camera's raw file
        the largest preview. What is transparent is white; embedded color profiles are converted to sRGB.

    Raises
    ------
    ImageReadError
        With the code ``ERROR_CORRUPT_IMAGE`` (also if the file ends early: half an image is not one),
        ``ERROR_ZERO_SIZE_FILE``, ``ERROR_UNSUPPORTED`` or ``ERROR_TOO_LARGE`` (more than `MAX_PIXELS` to decode, found
        out before anything is), or one of `TRANSIENT_CODES`.
    ValueError
        If `min_size` is below one pixel.

    Notes
    -----
    May be called from several threads at once; decoding releases the interpreter lock. All of them share a memory
    budget (`reading_budget`): an image that does not fit waits for its turn.

    A decoder notices that a file ends early, but not every wrong byte within: a JPEG with a damaged middle is read.
    """
    if min_size is not None and min(min_size) < 1:
        raise ValueError(f"min_size is {min_size}; both sides must be at least 1 pixel.")
    with open_regular(path) as file:
        return decode_file(file, path.suffix, min_size).image


def read_recorded(record: ImageRecord, *, min_size: tuple[int, int] | None = None) -> DecodedImage:
    """Decode an image and make sure that it is the one that was recorded.

    Parameters
    ----------
    record : ImageRecord
        From a scan. Its size in bytes and its modification time are compared before and after decoding; where they
        differ, or are unknown, the file's hash decides.
    min_size : tuple of int, optional
        As for `read_image`.

    Returns
    -------
    decoded : DecodedImage
        The image, and the notes on it.

    Raises
    ------
    ImageReadError
        As `read_image` does, and with ``ERROR_CHANGED`` if the file is not what the scan found, or changes while it is
        read. That is so for whatever else is wrong with the file too: it says nothing about the recorded image.
    """
    with open_regular(record.path) as file:
        before = _state(file)
        if before[:2] != (record.n_bytes, record.mtime_ns):
            _check_hash(file, record)
        try:
            decoded = decode_file(file, record.path.suffix, min_size)
        except ImageReadError:
            if _state(file) != before:
                _check_hash(file, record)
            raise
        if _state(file) != before:
            _check_hash(file, record, "while it was read")
        return decoded


def hash_pixels(record: ImageRecord) -> str:
    """Hash the decoded pixels of an image, all of them.

    Parameters
    ----------
    record : ImageRecord
        From a scan.

    Returns
    -------
    digest : str
        Hexadecimal sha256 of width, height and the upright sRGB pixels: the same for files that differ in metadata or
        lossless compression alone.

    Raises
    ------
    ImageReadError
        As `read_recorded` does; ``ERROR_TOO_LARGE`` also for a JPEG that can only be decoded at reduced size.
    """
    image = read_recorded(record).image
    return hashlib.sha256(f"{image.width} {image.height} ".encode() + image.tobytes()).hexdigest()


def decode_file(file: BinaryIO, suffix: str, min_size: tuple[int, int] | None = None) -> DecodedImage:
    """Decode an open file; see `read_image`.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable; its position is left anywhere.
    suffix : str
        Of its name: a TIFF with a camera's suffix is raw data.
    min_size : tuple of int, optional
        As for `read_image`.

    Returns
    -------
    decoded : DecodedImage
        The image, and what is to be said of it.

    Raises
    ------
    ImageReadError
        As `read_image` does.
    """
    with _reading():
        return _with_lenient_copies(file, lambda copy, notes: _decode(copy, suffix, min_size, notes))


def read_size(file: BinaryIO, suffix: str) -> tuple[int, int]:
    """Read an image's width and height in pixels, after the EXIF turn, from its header.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable; its position is left anywhere.
    suffix : str
        Of its name: a TIFF with a camera's suffix is raw data.

    Returns
    -------
    size : tuple of int
        Width, height.

    Raises
    ------
    ImageReadError
        As `read_image` does, as far as the header shows it.
    """
    with _reading():
        opened = _with_lenient_copies(file, lambda copy, notes: _open(copy, suffix, notes))
        width, height = opened.image.size
        return (height, width) if opened.turn in EXCHANGING else (width, height)


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, or say why that cannot be; a pipe or a device is never waited for.

    Raises
    ------
    ImageReadError
        If it is missing, empty, forbidden, or no regular file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageReadError("ERROR_UNSUPPORTED", f"it is {describe_kind(status.st_mode)}, not a file")
        if status.st_size == 0:
            raise ImageReadError("ERROR_ZERO_SIZE_FILE", "the file is empty (0 bytes)")
        return path.open("rb")
    except ImageReadError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise explain_os_error(error) from error


def describe_kind(mode: int) -> str:
    """Name what a file system entry with this ``st_mode`` is."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def explain_os_error(error: Exception) -> ImageReadError:
    """Give what the operating system said about a path its code and its words."""
    error_number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or _words(error)
    if isinstance(error, PermissionError):
        return ImageReadError("ERROR_PERMISSION", f"no permission to read it: {reason}")
    if isinstance(error, MemoryError) or error_number == errno.ENOMEM:
        return ImageReadError("ERROR_MEMORY", "there was not enough memory to read it: it is tried again")
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)) or error_number in _NOWHERE:
        return ImageReadError("ERROR_MISSING_FILE", f"there is no such file: {reason}")
    return ImageReadError("ERROR_IO", f"the disk or network failed while it was read: {reason}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__  # one line, whatever the decoder says


@contextmanager
def _reading() -> Iterator[None]:
    """Run a decoder quietly, and turn whatever it raises into an `ImageReadError`."""
    with pillow_quiet:
        try:
            yield
        except ImageReadError:
            raise
        except Image.DecompressionBombError as error:
            raise ImageReadError("ERROR_TOO_LARGE", f"the image is too large: {error}") from error
        except MemoryError as error:
            raise explain_os_error(error) from error
        except Exception as error:  # a decoder may raise anything at all on broken bytes
            if isinstance(error, OSError) and (error.errno is not None or isinstance(error, PermissionError)):
                raise explain_os_error(error) from error
            if _OUT_OF_MEMORY in str(error):  # a decoder's own words
                raise explain_os_error(MemoryError()) from error
            raise ImageReadError("ERROR_CORRUPT_IMAGE", f"the image cannot be decoded: {_words(error)}") from error


class _PillowQuiet:
    """Keep Pillow's warnings about broken metadata to itself while any thread is reading.

    `warnings.catch_warnings` alone is not safe here: of two overlapping threads, the last to leave would restore what
    the other had set. The first to enter sets it, the last to leave restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_readers = 0
        self._saved: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_readers == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._n_readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_readers -= 1
            if self._n_readers == 0:
                self._saved.__exit__(None, None, None)


pillow_quiet = _PillowQuiet()
"""Entering it takes longer than reading a small header: whoever reads many enters it once for all of them."""


def _open(file: BinaryIO, suffix: str, notes: tuple[Note, ...] = ()) -> OpenedImage:
    """Read the header: give Pillow's image, not yet decoded, and what it still needs."""
    file.seek(0)
    format_ = _identify(file.read(SIGNATURE_BYTES), suffix)
    turn = 0
    if format_ is RAW:
        file, turn, note = _open_preview(file)
        format_, notes = JPEG, (*notes, note)
    file.seek(0)
    plugin = _load_plugin(format_)
    if format_ is JPEG_XL:
        check_pixels(read_jxl_size(file))  # its plug-in decodes at once
        file.seek(0)
    image = plugin(file)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageReadError("ERROR_CORRUPT_IMAGE", f"the image claims a size of {width} x {height} pixels")
    if format_ is not JPEG:  # of which a decoder can give an eighth
        check_pixels(image.size)
    if format_ is not TIFF and (turn == 0 or _find_orientation(image) != 1):  # Pillow's TIFF reader turns it itself
        turn = _find_orientation(image)
    return OpenedImage(image, turn or 1, format_, file, plugin, notes)


def _open_preview(file: BinaryIO) -> tuple[BinaryIO, int, Note]:
    """Return the JPEG in a camera's raw file, its orientation, and the words for it."""
    preview = find_preview(file)
    if preview is None:
        raise ImageReadError("ERROR_UNSUPPORTED", f"covey cannot read {RAW.name} without a large preview: {RAW.hint}")
    file.seek(preview.start)
    said = f"camera raw: its preview of {preview.width} x {preview.height} pixels was taken"
    return BytesIO(file.read(preview.n_bytes)), preview.orientation, Note("NOTE_RAW_PREVIEW", said)


def _identify(beginning: bytes, suffix: str) -> Format:
    """Return the format of an image that can be read here, by its content."""
    format_ = sniff_format(beginning)
    by_suffix = UNREADABLE_SUFFIXES.get(suffix.lower())
    if format_ is None or (format_ is TIFF and by_suffix is RAW):  # raw data look like TIFF
        format_ = by_suffix
    if format_ is None:
        raise ImageReadError("ERROR_CORRUPT_IMAGE", f"it is not an image: {_describe_content(beginning)}")
    if format_ is not RAW and not _is_readable(format_):
        raise ImageReadError("ERROR_UNSUPPORTED", f"covey cannot read {format_.name} here: {format_.hint}")
    return format_


def _decode(file: BinaryIO, suffix: str, min_size: tuple[int, int] | None, notes: tuple[Note, ...]) -> DecodedImage:
    """Decode a file; one of a JPEG may lack its last bytes."""
    opened = _open(file, suffix, notes)
    try:
        return load_rgb(opened, min_size)
    except OSError as error:
        if opened.format is not JPEG or isinstance(error, ImageReadError) or error.errno is not None:
            raise
        opened.file.seek(0)
        decoded = complete_cut_jpeg(opened.file.read(), opened, min_size)
        if decoded is None:
            raise
        return decoded


def _with_lenient_copies(file: BinaryIO, action: Callable[[BinaryIO, tuple[Note, ...]], Result]) -> Result:
    """Try a file; if it is a PNG and fails, try it without its texts, then without its profile and EXIF too.

    Pillow refuses a PNG for its metadata alone, for example if they inflate beyond 1 MB, or their checksum is wrong.
    """
    try:
        return action(file, ())
    except (ImageReadError, MemoryError, PermissionError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) is not None or sniff_format(_beginning(file)) is not PNG:
            raise
        for kinds in METADATA_KINDS:
            copy = drop_chunks(file, kinds)
            if copy is None:
                continue
            with suppress(Exception):  # the first error is the one to report
                names = ", ".join(sorted(kind.decode() for kind in kinds))
                note = Note("NOTE_METADATA_IGNORED", f"damaged or huge metadata were ignored ({names})")
                return action(BytesIO(copy), (note,))
        raise


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(SIGNATURE_BYTES)


def _state(file: BufferedReader) -> tuple[int, int, int, int]:
    """Return what tells that an open file was written to: size, modification time, inode, time of change."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def _check_hash(file: BufferedReader, record: ImageRecord, when: str = "since it was scanned") -> None:
    """Raise `ImageReadError` if a file does not have the recorded bytes."""
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest() != record.id:
        raise ImageReadError("ERROR_CHANGED", f"the file changed {when}: run the same command again")


def _is_readable(format_: Format) -> bool:
    if not format_.plugin or find_spec(format_.plugin.partition(".")[0].partition(":")[0]) is None:
        return False
    return not format_.feature or bool(features.check(format_.feature))


def _load_plugin(format_: Format) -> Any:
    """Import the reader. Not `Image.open`, whose own limit of pixels warns without the size to report."""
    module, _, name = format_.plugin.partition(":")
    return getattr(import_module(module), name)


def _describe_content(beginning: bytes) -> str:
    try:
        text = getincrementaldecoder("utf-8")().decode(beginning)  # a character cut off at the end is not an error
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isprintable() or c.isspace() for c in text):
        return "the content is text"
    return f"the content begins with {beginning[:8].hex(' ')}, which no image does"


def _find_orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8; broken metadata do not spoil an image.

    Not the plugin's own `getexif`: for PNG it would decode the whole image to look for metadata behind it.
    """
    try:
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - Pillow's EXIF reader may raise anything at all on broken bytes
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
