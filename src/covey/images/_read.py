"""Opening and decoding one picture, whatever is wrong with it.

Everything that a file can have wrong ends as an `ImageReadError` with one of the codes of ``skipped.csv``; nothing else
leaves this module. Messages do not repeat the path, which is beside them wherever they are shown.
"""

import errno
import stat
import threading
import warnings
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, features

from covey.errors import ImageReadError
from covey.images._formats import MAX_PIXELS, RAW, SIGNATURE_BYTES, TIFF, UNREADABLE_SUFFIXES, Format, sniff_format
from covey.images._pixels import to_rgb

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it; 5 to 8 exchange width and height."""

_NOWHERE = (errno.ELOOP, errno.ENAMETOOLONG)


def read_image(path: Path, *, min_size: tuple[int, int] | None = None) -> Image.Image:
    """Decode one picture, upright and in RGB.

    Parameters
    ----------
    path : Path
        The file; its content, not its suffix, decides how it is read. Links are followed.
    min_size : tuple of int, optional
        Width and height in pixels, of the upright picture, that are enough. A JPEG is then decoded at a half, a quarter
        or an eighth of its size as long as both sides keep at least these; see `decode_size`. Other formats are decoded
        whole.

    Returns
    -------
    image : PIL.Image.Image
        Of mode ``"RGB"``, turned as its EXIF orientation says, loaded, with no file held open and no metadata. Of an
        animation the first frame, of a document the first page. What is transparent is white.

    Raises
    ------
    ImageReadError
        With the code ``ERROR_CORRUPT_IMAGE`` (also if the file ends early: half a picture is none),
        ``ERROR_ZERO_SIZE_FILE``, ``ERROR_MISSING_FILE``, ``ERROR_UNSUPPORTED``, ``ERROR_TOO_LARGE`` (more than
        `MAX_PIXELS`, found out before anything is decoded) or ``ERROR_PERMISSION``.
    ValueError
        If `min_size` is below one pixel.

    Notes
    -----
    May be called from several threads at once; decoding releases the interpreter lock.

    A decoder notices that a file ends early, but not every wrong byte within: a JPEG with a damaged middle is read.
    """
    if min_size is not None and min(min_size) < 1:
        raise ValueError(f"min_size is {min_size}; both sides must be at least 1 pixel.")
    with open_regular(path) as file, _reading():
        image, turn = _open(file, path.suffix)
        if min_size is not None:
            image.draft(None, min_size[::-1] if turn in (5, 6, 7, 8) else min_size)
        image.load()
        upright = image.transpose(_TURNS[turn]) if turn in _TURNS else image
        rgb = to_rgb(upright)
        rgb.info.clear()  # nothing that could be applied twice, or that a thumbnail would carry along
        return rgb


def read_size(file: BinaryIO, suffix: str) -> tuple[int, int]:
    """Read a picture's width and height in pixels, after the EXIF turn, from its header.

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
        image, turn = _open(file, suffix)
        width, height = image.size
        return (height, width) if turn in (5, 6, 7, 8) else (width, height)


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
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)) or error_number in _NOWHERE:
        return ImageReadError("ERROR_MISSING_FILE", f"there is no such file: {reason}")
    return ImageReadError("ERROR_CORRUPT_IMAGE", f"the file cannot be read: {reason}")


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
        except PermissionError as error:
            raise explain_os_error(error) from error
        except Image.DecompressionBombError as error:
            raise ImageReadError("ERROR_TOO_LARGE", f"the picture is too large: {error}") from error
        except MemoryError as error:
            raise ImageReadError("ERROR_TOO_LARGE", "the picture needs more memory than there is") from error
        except Exception as error:  # a decoder may raise anything at all on broken bytes
            raise ImageReadError("ERROR_CORRUPT_IMAGE", f"the picture cannot be decoded: {_words(error)}") from error


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


def _open(file: BinaryIO, suffix: str) -> tuple[Any, int]:
    """Read the header: give Pillow's image, not yet decoded, and the EXIF orientation that it still needs."""
    file.seek(0)
    format_ = _identify(file.read(SIGNATURE_BYTES), suffix)
    file.seek(0)
    image = _load_plugin(format_)(file)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageReadError("ERROR_CORRUPT_IMAGE", f"the picture claims a size of {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise ImageReadError(
            "ERROR_TOO_LARGE",
            f"the picture has {width} x {height} = {width * height / 1e6:,.0f} million pixels; "
            f"the limit is {MAX_PIXELS / 1e6:,.0f} million: scale it down first",
        )
    return image, 1 if format_ is TIFF else _find_orientation(image)  # Pillow's TIFF reader turns the picture itself


def _identify(beginning: bytes, suffix: str) -> Format:
    """Name the format of a picture that can be read here, by its content."""
    format_ = sniff_format(beginning)
    by_suffix = UNREADABLE_SUFFIXES.get(suffix.lower())
    if format_ is None or (format_ is TIFF and by_suffix is RAW):  # raw data look like TIFF: Pillow finds the preview
        format_ = by_suffix
    if format_ is None:
        raise ImageReadError("ERROR_CORRUPT_IMAGE", f"it is not a picture: {_describe_content(beginning)}")
    if not _is_readable(format_):
        raise ImageReadError("ERROR_UNSUPPORTED", f"covey cannot read {format_.name} here: {format_.hint}")
    return format_


def _is_readable(format_: Format) -> bool:
    if not format_.plugin or find_spec(format_.plugin.partition(".")[0].partition(":")[0]) is None:
        return False
    return not format_.feature or bool(features.check(format_.feature))


def _load_plugin(format_: Format) -> Any:
    """Import the reader. Not `Image.open`, whose own limit of pixels warns, and cannot be told the size to report."""
    module, _, name = format_.plugin.partition(":")
    return getattr(import_module(module), name)


def _describe_content(beginning: bytes) -> str:
    try:
        text = getincrementaldecoder("utf-8")().decode(beginning)  # a character cut off at the end is no error
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isprintable() or c.isspace() for c in text):
        return "the content is text"
    return f"the content begins with {beginning[:8].hex(' ')}, which no picture does"


def _find_orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8; broken metadata do not spoil a picture.

    Not the plugin's own `getexif`: for PNG it would decode the whole picture to look for metadata behind it.
    """
    try:
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - Pillow's EXIF reader may raise anything at all on broken bytes
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
