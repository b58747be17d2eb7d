"""What an export does to files: operations that can be done again after a kill, and undone.

Each is idempotent: done again where it was done already, it changes nothing. None ever replaces a file; where something
else is in the way it is an error. Undoing takes away only what is as it was made.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from covey.errors import ProjectError

PARTS = ".covey-part"
"""Folder in the target for what is being written; files appear under their names whole."""

_BLOCK_BYTES = 1 << 20
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class ExportError(ProjectError):
    """An export cannot go on: something is in the way, or the system refuses."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of an export.

    Attributes
    ----------
    op : {"mkdir", "symlink", "hardlink", "copy", "move", "write"}
        What is done.
    to : str
        Where, a POSIX path below the target folder.
    source : str
        Absolute path of the image; empty for ``mkdir`` and ``write``.
    id : str
        sha256 of the file's bytes; empty for ``mkdir``.
    """

    op: str
    to: str
    source: str = ""
    id: str = ""

    @property
    def origin(self) -> Path:
        """Return the source as a path."""
        return Path(self.source)


def is_safe(to: str) -> bool:
    """Tell whether a path stays below the folder that it is joined to."""
    path = PurePosixPath(to)
    return bool(to) and not path.is_absolute() and ".." not in path.parts and "\0" not in to and "\\" not in to


def perform(operation: Operation, out: Path) -> str:
    """Do one operation, or see that it was done.

    Parameters
    ----------
    operation : Operation
        The operation.
    out : Path
        The target folder.

    Returns
    -------
    outcome : {"done", "missing", "changed"}
        ``missing`` if the image is gone, ``changed`` if its bytes are not those of the scan; then nothing was done.

    Raises
    ------
    ExportError
        If something else has the name, or the system has no such links.
    """
    return _PERFORMERS[operation.op](operation, out / operation.to, part_path(out, operation.to))


def revert(operation: Operation, out: Path) -> str:
    """Undo one operation.

    Parameters
    ----------
    operation : Operation
        The operation, whether it was done or not.
    out : Path
        The target folder.

    Returns
    -------
    reason : str
        Why it was left as it is; empty if it is undone.
    """
    target = out / operation.to
    if not os.path.lexists(target):
        return "" if operation.op != "move" or os.path.lexists(operation.source) else "it is gone"
    return _REVERTERS[operation.op](operation, target)


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_path(out: Path, to: str) -> Path:
    """Return where a file lies while it is written."""
    return out / PARTS / hashlib.sha256(os.fsencode(to)).hexdigest()


def _mkdir(_operation: Operation, target: Path, _: Path) -> str:
    try:
        target.mkdir()
    except FileExistsError:
        if target.is_symlink() or not target.is_dir():
            raise _in_the_way(target) from None
    return "done"


def _symlink(operation: Operation, target: Path, _: Path) -> str:
    if not operation.origin.exists():
        return "missing"
    text = _link_text(operation.source, target)
    try:
        target.symlink_to(text)
    except FileExistsError:
        if not target.is_symlink() or str(target.readlink()) != text:
            raise _in_the_way(target) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        raise ExportError(
            f"This system does not allow symbolic links ({error}); use --mode hardlink or copy."
        ) from error
    return "done"


def _hardlink(operation: Operation, target: Path, _: Path) -> str:
    if not operation.origin.exists():
        return "missing"
    if file_digest(operation.source) != operation.id:
        return "changed"
    source = operation.origin.resolve()
    try:
        os.link(source, target)
    except FileExistsError:
        if target.is_symlink() or not target.samefile(source):
            raise _in_the_way(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS | {errno.EXDEV}:
            raise
        raise ExportError(
            f"{str(target)!r} cannot be a hard link to an image on another disk ({error.strerror}); use --mode "
            "symlink or copy."
        ) from error
    return "done"


def _copy(operation: Operation, target: Path, part: Path) -> str:
    if os.path.lexists(target):
        return _check_there(operation, target)
    if not operation.origin.exists():
        return "missing"
    if _copy_to(operation.origin, part) != operation.id:
        part.unlink()
        return "changed"
    _put(part, target)
    return "done"


def _move(operation: Operation, target: Path, part: Path) -> str:
    is_there = os.path.lexists(operation.source)
    if os.path.lexists(target):
        _check_there(operation, target)
        if is_there and file_digest(operation.source) == operation.id:  # killed between link and unlink
            operation.origin.unlink()
        return "done"
    if not is_there:
        return "missing"
    if operation.origin.is_symlink() or file_digest(operation.source) != operation.id:
        return "changed"
    _transfer(operation.origin, target, part)
    return "done"


def _write(operation: Operation, target: Path, part: Path) -> str:
    if os.path.lexists(target):
        return _check_there(operation, target)
    if not part.exists():
        raise ExportError(f"What was to be written to {str(target)!r} is gone; undo this export, and make it again.")
    _put(part, target)
    return "done"


def _unmake_folder(_: Operation, target: Path) -> str:
    try:
        target.rmdir()
    except OSError as error:
        return "it is not empty" if error.errno in (errno.ENOTEMPTY, errno.EEXIST) else f"{error.strerror}"
    return ""


def _unlink_symbolic(operation: Operation, target: Path) -> str:
    if not target.is_symlink() or str(target.readlink()) != _link_text(operation.source, target):
        return "it is not the link that was made"
    target.unlink()
    return ""


def _remove_file(operation: Operation, target: Path) -> str:
    if target.is_symlink() or not target.is_file() or file_digest(target) != operation.id:
        return "it was changed"
    target.unlink()
    return ""


def _move_back(operation: Operation, target: Path) -> str:
    if target.is_symlink() or not target.is_file() or file_digest(target) != operation.id:
        return "it was changed"
    if os.path.lexists(operation.source):
        if operation.origin.is_symlink() or file_digest(operation.source) != operation.id:
            return f"another file is at its old place {operation.source!r}"
        target.unlink()  # killed between link and unlink
        return ""
    source = operation.origin
    source.parent.mkdir(parents=True, exist_ok=True)
    _transfer(target, source, source.with_name(f".{hashlib.sha256(os.fsencode(source.name)).hexdigest()}.part"))
    return ""


_PERFORMERS: Final[dict[str, Callable[[Operation, Path, Path], str]]] = {
    "mkdir": _mkdir,
    "symlink": _symlink,
    "hardlink": _hardlink,
    "copy": _copy,
    "move": _move,
    "write": _write,
}
_REVERTERS: Final[dict[str, Callable[[Operation, Path], str]]] = {
    "mkdir": _unmake_folder,
    "symlink": _unlink_symbolic,
    "hardlink": _remove_file,
    "copy": _remove_file,
    "move": _move_back,
    "write": _remove_file,
}


def _in_the_way(target: Path) -> ExportError:
    return ExportError(f"{str(target)!r} is there and is not a part of this export; nothing is replaced, move it away.")


def _check_there(operation: Operation, target: Path) -> str:
    """Return ``done`` if the target is the file that this operation makes."""
    if target.is_symlink() or not target.is_file() or file_digest(target) != operation.id:
        raise _in_the_way(target)
    return "done"


def _link_text(source: str, target: Path) -> str:
    """Return what a link to an image says: the way from its own folder."""
    origin = Path(source)
    try:
        return os.path.relpath(origin.parent.resolve() / origin.name, target.parent.resolve())
    except ValueError:  # Windows: no relative way from one drive to another
        return source


def _copy_to(source: Path, part: Path) -> str:
    """Copy a file with its times, wait until it is on the disk, and return the sha256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, part.open("wb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
        _flush(writer)
    shutil.copystat(source, part)
    return digest.hexdigest()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put(part: Path, target: Path) -> None:
    """Give a finished file its name, never in place of another one."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise _in_the_way(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise _in_the_way(target) from None
        part.rename(target)
        return
    part.unlink()


def _transfer(source: Path, target: Path, part: Path) -> None:
    """Move a file: a second link, or on another disk a copy that was compared; only then the first one goes."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS | {errno.EXDEV}:
            raise
        if _copy_to(source, part) != file_digest(source):
            raise ExportError(f"{str(source)!r} changed while it was copied; nothing was moved, try again.") from error
        _put(part, target)
    source.unlink()
