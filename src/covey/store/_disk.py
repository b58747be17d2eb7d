"""What the store says when a disk refuses, and the arrays that it maps from files."""

import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from covey._arrays import iter_blocks
from covey._files import atomic_write
from covey.errors import ProjectError
from covey.types import FloatArray

_BLOCK_BYTES = 64 * 2**20


def map_array(path: Path, shape: tuple[int, ...]) -> FloatArray | None:
    """Map a float32 array that `write_array` wrote; return None if there is no whole one of this shape."""
    try:
        X = np.load(path, mmap_mode="r")
    except (FileNotFoundError, EOFError, ValueError):
        return None
    return np.asarray(X) if X.shape == shape and X.dtype == np.float32 else None


def write_array(path: Path, gather: Callable[[slice], FloatArray], shape: tuple[int, ...]) -> None:
    """Write what `gather` gives for each slice of rows to an ``.npy`` file, in place of former ones of its kind.

    The kind is the name up to the first hyphen. The rows are written, not stored through a writable map: on a full
    disk, a write raises an error and a map ends the process.
    """
    kind = path.name.partition("-")[0]
    for former in path.parent.glob(f"{kind}-*.npy"):
        with suppress(PermissionError):  # Windows keeps a file that somebody has mapped
            former.unlink()
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for rows in iter_blocks(shape[0], 4 * math.prod(shape[1:]), _BLOCK_BYTES):
            file.write(gather(rows).data)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the errors of a disk or database that cannot write into a `ProjectError` about `what`.

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


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, 0 if there is none.

    `os.scandir` asks for each entry once: 0.4 s for the thumbnails of 50,000 images, where `Path.rglob` takes 9 s.
    """
    n_bytes, waiting = 0, [os.fspath(folder)]
    while waiting:
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    n_bytes += entry.stat(follow_symlinks=False).st_size
    return n_bytes
