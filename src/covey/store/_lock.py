"""One writer at a time: a lock of the operating system, which a dead process never holds."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from covey.errors import ProjectError

# Windows forbids others to read a locked byte, so the lock lies far behind the words of the file.
_LOCKED_BYTE = 1 << 20


@contextmanager
def exclusive_lock(path: Path, subject: str) -> Iterator[None]:
    """Hold `path` locked while the block runs; the file stays, its lock ends with the process at the latest.

    Parameters
    ----------
    path : Path
        The lock file, made if missing; it names the process that holds it.
    subject : str
        What the lock guards, for the message.

    Raises
    ------
    ProjectError
        At once, if somebody else holds it or the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ProjectError(f"{subject} cannot be locked for writing: {error}.") from error
    try:
        _acquire(descriptor, path, subject)
        with suppress(OSError):  # a full disk cannot take the note, the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(descriptor)  # also unlocks


def _acquire(descriptor: int, path: Path, subject: str) -> None:
    """Take the lock or say who has it."""
    try:
        _try_lock(descriptor)
    except BlockingIOError as error:
        holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
        raise ProjectError(
            f"{subject} is in use by {holder}; wait until it is done, or use another project folder."
        ) from error
    except OSError as error:
        raise ProjectError(f"{subject} cannot be locked: {error}; use a folder on a local disk.") from error


def _try_lock(descriptor: int) -> None:
    """Lock without waiting; `BlockingIOError` if it is taken."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  (exists on Windows alone)

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl  # noqa: PLC0415  (exists on POSIX alone)

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
