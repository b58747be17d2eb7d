"""Finding pictures in folders, in manifests and by name; nothing is opened but folders and manifests."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from covey.errors import ImageReadError
from covey.images._formats import PICTURE_SUFFIXES
from covey.images._globs import GlobFilter, natural_key
from covey.images._read import explain_os_error, open_regular
from covey.types import ImageFailure, Progress

STDIN = Path("-")
"""The source that stands for a manifest on standard input."""

_MANIFEST_SUFFIX = ".txt"
_PROJECT_FILE = "project.sqlite"
_PROJECT_FOLDERS = frozenset({"features", "thumbnails"})


@dataclass(slots=True)
class Findings:
    """What the sources hold: the pictures' absolute paths, each once, and what else there was."""

    paths: set[Path] = field(default_factory=set)
    parents: set[Path] = field(default_factory=set)
    failures: dict[Path, ImageFailure] = field(default_factory=dict)
    n_other: int = 0
    n_links: int = 0

    def ordered_paths(self) -> list[Path]:
        """Give the pictures in natural order; what has failed already is no more among them."""
        return sorted(self.paths - self.failures.keys(), key=natural_key)

    def root(self) -> Path:
        """Give the deepest folder that holds all sources; the file system's own where they share none."""
        try:
            return Path(os.path.commonpath(self.parents))
        except ValueError:  # no sources that exist, or on several drives
            return Path(Path.cwd().anchor)


class Finder:
    """Collect pictures from sources.

    Parameters
    ----------
    recursive, follow_symlinks, globs
        As in `scan_images`.
    progress : Progress or None
        Told after every folder how many pictures were found so far.
    """

    def __init__(
        self, *, recursive: bool, follow_symlinks: bool, globs: GlobFilter, progress: Progress | None = None
    ) -> None:
        self._recursive = recursive
        self._follow_symlinks = follow_symlinks
        self._globs = globs
        self._progress = progress
        self.findings = Findings()

    def add_source(self, source: Path) -> None:
        """Take a folder's pictures, a manifest's, or the file itself."""
        if source == STDIN:
            self._add_manifest(sys.stdin.buffer.read(), Path.cwd())
            return
        path = _absolute(source)
        if _is_folder(path):
            self._walk(path)
        elif path.suffix.lower() == _MANIFEST_SUFFIX:
            self._open_manifest(path)
        else:
            self._add_named(path, path.parent)

    def _open_manifest(self, path: Path) -> None:
        try:
            with open_regular(path) as file:
                self._add_manifest(file.read(), path.parent)
        except ImageReadError as error:
            self._fail(path, error)
        except OSError as error:
            self._fail(path, explain_os_error(error))

    def _add_manifest(self, content: bytes, folder: Path) -> None:
        for line in _manifest_lines(content):
            self._add_named(_absolute(folder / os.fsdecode(line)), folder)

    def _add_named(self, path: Path, folder: Path) -> None:
        """Take a file that a person named: of any suffix, through a link too, and even to report that it is missing."""
        inside = path.is_relative_to(folder)
        if self._globs.takes(path.relative_to(folder if inside else path.anchor).as_posix()):
            self.findings.paths.add(path)
            self.findings.parents.add(path.parent)

    def _walk(self, source: Path) -> None:
        """Visit a folder and those in it, each real folder once; what lies behind a link comes after all the others."""
        self.findings.parents.add(source)
        pending, linked = [(str(source), "")], deque[tuple[str, str]]()
        visited: set[tuple[int, int]] = set()
        while pending or linked:
            folder, prefix = pending.pop() if pending else linked.popleft()
            if self._follow_symlinks and not _visit(folder, visited):
                continue
            for entry in self._list(folder):
                try:
                    target = self._sort_entry(entry, prefix)
                except OSError as error:
                    self._fail(Path(entry.path), explain_os_error(error))
                    continue
                if target and self._recursive:
                    (linked if entry.is_symlink() else pending).append((entry.path, target))
            if self._progress:
                self._progress("find", len(self.findings.paths), None)

    def _list(self, folder: str) -> Iterable[os.DirEntry[str]]:
        """List a folder by name, without hidden entries; a project of covey's own holds no pictures of anybody's."""
        try:
            with os.scandir(folder) as entries:
                found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            self._fail(Path(folder), explain_os_error(error))
            return []
        names = {entry.name for entry in found}
        is_project = _PROJECT_FILE in names and not names.isdisjoint(_PROJECT_FOLDERS)
        return [] if is_project else found

    def _sort_entry(self, entry: os.DirEntry[str], prefix: str) -> str:
        """Count a file or take it; of a folder to be visited, give the prefix of its entries' relative paths."""
        if entry.is_symlink() and not self._follow_symlinks:
            self.findings.n_links += 1
            return ""
        relative = prefix + entry.name
        if entry.is_dir():
            return "" if self._globs.leaves(relative) else relative + "/"
        if Path(entry.name).suffix.lower() not in PICTURE_SUFFIXES:
            self.findings.n_other += 1
        elif self._globs.takes(relative):
            self.findings.paths.add(Path(entry.path))
        return ""

    def _fail(self, path: Path, error: ImageReadError) -> None:
        self.findings.failures.setdefault(path, ImageFailure(path, error.code, str(error)))


def find_pictures(sources: Sequence[Path], finder: Finder) -> Findings:
    """Go through all sources; see `scan_images`."""
    for source in sources:
        finder.add_source(source)
    return finder.findings


def _visit(folder: str, visited: set[tuple[int, int]]) -> bool:
    """Note a folder as visited by what it really is; False if it was before. This ends every loop of links."""
    try:
        status = Path(folder).stat()
    except OSError:
        return True  # listing it will say why
    key = (status.st_dev, status.st_ino)
    if key in visited:
        return False
    visited.add(key)
    return True


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # reading it as a file will say why


def _absolute(path: Path) -> Path:
    """Make a path absolute; ``..`` goes to the real parent, as the system has it, and other links are kept."""
    if ".." in path.parts:
        parent, name = (path, "") if path.name == ".." else (path.parent, path.name)
        return Path(os.path.realpath(parent), name)
    return path.absolute()


def _manifest_lines(content: bytes) -> list[bytes]:
    """Split a manifest into paths: at zero bytes, as ``find -print0`` writes them, or else at line ends.

    A line that is empty or begins with ``#`` is none. Names that are no UTF-8 are kept as the bytes they are.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        return [line for line in content.split(b"\0") if line]
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [line for line in lines if line and not line.startswith(b"#")]
