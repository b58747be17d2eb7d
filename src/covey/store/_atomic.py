"""Files that appear whole or not at all, and the words for a disk that refuses."""

import errno
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from covey._arrays import iter_chunks
from covey.errors import ProjectError
from covey.types import FloatArray

_SUFFIX = ".part"
_BLOCK_BYTES = 64 * 2**20


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` when the block ends well.

    The temporary file lies in the same folder, is flushed to the disk before the rename and removed on any error; a
    killed process leaves at most this file, which `remove_leftovers` clears. Missing folders are made.
    """
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _flush(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed runs directly in `folder`; call it only where nobody else writes."""
    for leftover in folder.glob(f".*{_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def map_array(path: Path, shape: tuple[int, ...]) -> FloatArray | None:
    """Map a float32 array that `write_array` wrote, None if there is no whole one of this shape."""
    try:
        X = np.load(path, mmap_mode="r")
    except (FileNotFoundError, EOFError, ValueError):
        return None
    return np.asarray(X) if X.shape == shape and X.dtype == np.float32 else None


def write_array(path: Path, gather: Callable[[slice], FloatArray], shape: tuple[int, ...]) -> None:
    """Write what `gather` gives for each slice of rows to an ``.npy`` file, in place of former ones of its kind.

    The kind is the name up to the first hyphen. Written, not stored through a writable map: where the disk is full, a
    write says so and a map ends the process.
    """
    kind = path.name.partition("-")[0]
    for former in path.parent.glob(f"{kind}-*.npy"):
        with suppress(PermissionError):  # Windows keeps a file that somebody has mapped
            former.unlink()
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for rows in iter_chunks(shape[0], max(1, _BLOCK_BYTES // (4 * math.prod(shape[1:])))):
            file.write(gather(rows).data)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn what disk and database say when they cannot write into a `ProjectError` about `what`.

    Parameters
    ----------
    what : str
        The beginning of the message, a noun: ``"The partition"``.

    Raises
    ------
    ProjectError
        In place of `OSError`, `sqlite3.DatabaseError` (but for a broken constraint, which is a bug) and
        `SafetensorError`.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except (OSError, sqlite3.DatabaseError, SafetensorError) as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError(
            f"{what} could not be written: {error}. Nothing half written was kept; see that the disk has space and "
            "the folder can be written to, then run the same command again."
        ) from error


def _make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, each entry flushed to the disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
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
