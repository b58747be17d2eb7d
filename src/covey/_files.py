"""Files: written whole or not at all, read by their header, locked by one process at a time.

It knows no image and no table and is below every package that writes. May import NumPy, `filelock` and `covey.errors`.
"""

import errno
import json
import math
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from covey.errors import ProjectError

_SUFFIX: Final = ".part"
_HOLDER: Final = "process "
_NOT_LOCKABLE: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_DTYPES: Final = {"F32": ("<f4", "float32"), "U8": ("u1", "uint8")}


class DamagedFileError(Exception):
    """A file is not what its format promises; the message says how."""


class WrongLengthError(DamagedFileError):
    """A file is shorter or longer than its header promises."""


class Tensor(NamedTuple):
    """Where one tensor of a safetensors file lies."""

    dtype: str
    shape: tuple[int, ...]
    offset: int  # in bytes from the beginning of the file
    n_bytes: int


class SafetensorsHeader(NamedTuple):
    """What a safetensors file says about itself."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]


@contextmanager
def atomic_write(path: Path, *, is_durable: bool = True) -> Iterator[Path]:
    """Give a temporary file to write to, which becomes `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The file. Missing folders are made; a file that is there is replaced, a symbolic link too, never its target.
    is_durable : bool, default=True
        Wait until the file and its name are on the disk, so that a power failure leaves the old or the new content.
        Without it the file is whole after a killed process, but can be empty after a power failure: for what can be
        made again, e.g. thumbnails.

    Yields
    ------
    temporary : Path
        An empty file in the same folder. No two writers share one, so that threads and processes may write the same
        `path`: the last one to end wins.

    Raises
    ------
    OSError
        If the file cannot be written, e.g. because the disk is full; the old one is untouched then.

    Notes
    -----
    The permissions are those of any new file: 0666 without the bits of the umask, or what the folder's default access
    list says, whatever the writer in the block sets (safetensors makes files for their owner alone). An error removes
    the temporary file; a killed process leaves it to `remove_leftovers`.
    """
    _make_folder(path.parent, is_durable=is_durable)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{_SUFFIX}")
    mode = _create(temporary)
    try:
        yield temporary
        if os.name != "nt" and temporary.stat().st_mode != mode:
            temporary.chmod(mode & 0o7777)
        if is_durable:
            _flush(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if is_durable:
        _flush(path.parent)


def write_bytes(path: Path, data: bytes, *, is_durable: bool = True) -> None:
    """Write a file, whole or not at all; see `atomic_write`."""
    with atomic_write(path, is_durable=is_durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, *, is_durable: bool = True) -> None:
    r"""Write a file in UTF-8 with line ends as they are in `text`, whole or not at all; see `atomic_write`."""
    with atomic_write(path, is_durable=is_durable) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers directly in `folder`; call it only where no other process writes."""
    for leftover in folder.glob(f".*{_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read what a safetensors file holds, without its tensors.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    header : SafetensorsHeader
        Offsets count from the beginning of the file, so that a tensor can be mapped.

    Raises
    ------
    DamagedFileError
        If the header cannot be read, or the file is shorter or longer than it says.
    OSError
        If the file cannot be read.
    """
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else n_bytes
        if 8 + length > n_bytes:
            raise DamagedFileError("it ends within its header")
        try:
            header = _parse_header(parse_json(file.read(length)), 8 + length)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise DamagedFileError("its header cannot be read") from error
    end = max((tensor.offset + tensor.n_bytes for tensor in header.tensors.values()), default=8 + length)
    if end != n_bytes:
        raise WrongLengthError(f"its header promises another length: it has {n_bytes} bytes of {end}")
    return header


def map_tensor(path: Path, name: str, dtype: str = "F32") -> NDArray[Any]:
    """Map a tensor of a safetensors file read-only into memory.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The tensor's name.
    dtype : {"F32", "U8"}, default="F32"
        The dtype that it must have.

    Returns
    -------
    array : ndarray
        Of the tensor's shape; a read-only memory map unless it is empty.

    Raises
    ------
    DamagedFileError
        If the file is damaged or has no such tensor.
    OSError
        If the file cannot be read.
    """
    numpy_dtype, words = _DTYPES[dtype]
    tensor = read_safetensors_header(path).tensors.get(name)
    if (
        tensor is None
        or tensor.dtype != dtype
        or math.prod(tensor.shape) * np.dtype(numpy_dtype).itemsize != (tensor.n_bytes)
    ):
        raise DamagedFileError(f"it has no {words} tensor {name!r}")
    if 0 in tensor.shape:  # the operating system maps no empty range
        empty = np.empty(tensor.shape, dtype=numpy_dtype)
        empty.flags.writeable = False
        return empty
    return np.asarray(np.memmap(path, dtype=numpy_dtype, mode="r", offset=tensor.offset, shape=tensor.shape))


def parse_json(text: str | bytes) -> Any:
    """Parse JSON from a file that anybody may have written.

    Parameters
    ----------
    text : str or bytes
        JSON; bytes are UTF-8.

    Returns
    -------
    value : object
        What it stands for.

    Raises
    ------
    ValueError
        If it is not JSON, or nested so deeply that it cannot be parsed (a plain `json.loads` raises a
        `RecursionError`, which no caller expects).
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@contextmanager
def exclusive_lock(path: Path, subject: str) -> Iterator[None]:
    """Hold `path` locked while the block runs; the file stays, its lock ends with the process at the latest.

    Parameters
    ----------
    path : Path
        The lock file, made if missing; it names the process that holds it. A symbolic link is refused, so that no other
        file is overwritten.
    subject : str
        What the lock guards, for the message.

    Raises
    ------
    ProjectError
        At once, if another process holds the lock, or the file cannot be made or locked.
    """
    lock = FileLock(path, blocking=False, thread_local=False, preserve_lock_file=True, on_acquired=_note_holder)
    try:
        lock.acquire()
    except Timeout as error:
        raise ProjectError(
            f"{subject} is in use by {_read_holder(path)}; wait until it is done, or use another project folder."
        ) from error
    except OSError as error:
        if error.errno in _NOT_LOCKABLE:
            raise ProjectError(f"{subject} cannot be locked: {error}; use a folder on a local disk.") from error
        raise ProjectError(f"{subject} cannot be locked for writing: {error}.") from error
    try:
        yield
    finally:
        lock.release()


def _create(temporary: Path) -> int:
    """Make a new empty file and return its mode, which follows the umask."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY  # EXCL follows no symbolic link
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except FileExistsError:  # of a killed process with the same numbers
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, flags, 0o666)
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _make_folder(folder: Path, *, is_durable: bool) -> None:
    """Make a folder and what is missing above it; flush each entry to the disk if it must be durable."""
    if not folder.is_dir():
        _make_folder(folder.parent, is_durable=is_durable)
        folder.mkdir(exist_ok=True)
        if is_durable:
            _flush(folder.parent)


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk; not every system can wait for a folder."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def _parse_header(content: Any, n_before: int) -> SafetensorsHeader:
    """Turn the JSON of a header into records; `n_before` bytes precede the tensors."""
    tensors = {}
    for name, entry in content.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            shape = tuple(int(size) for size in entry["shape"])
            tensors[name] = Tensor(str(entry["dtype"]), shape, n_before + int(start), int(end) - int(start))
    return SafetensorsHeader(dict(content.get("__metadata__", {})), tensors)


def _note_holder(descriptor: int) -> None:
    """Write into a lock file who holds it."""
    with suppress(OSError):  # a full disk cannot take the note; the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{_HOLDER}{os.getpid()} on {socket.gethostname()}".encode())


def _read_holder(path: Path) -> str:
    """Return who holds a lock, as `_note_holder` wrote it."""
    note = b""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        file.seek(len(_HOLDER))  # Windows forbids others to read the first byte, which is the locked one
        note = file.read(200)
    return f"{_HOLDER}{note.decode(errors='replace').strip()}" if note.strip() else "another process"
