"""Finding images in folders, in manifests and by name; nothing is opened but folders and manifests."""

import logging
import os
import sys
import unicodedata
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from covey._text_files import decode_text, unmarked_utf16
from covey.errors import ImageReadError, InvalidValueError
from covey.images._formats import (
    NO_MEDIA,
    PICTURE_SUFFIXES,
    SIGNATURE_BYTES,
    SYSTEM_FOLDERS,
    kind_of_file,
    sniff_format,
)
from covey.images._globs import GlobFilter, natural_key
from covey.images._read import explain_os_error, open_regular
from covey.types import ImageFailure, Progress

STDIN = Path("-")
"""The source that stands for a manifest on standard input."""

_logger = logging.getLogger(__name__)
_MANIFEST_SUFFIX = ".txt"
_PROJECT_FILE = "project.sqlite"
_PROJECT_FOLDERS = frozenset({"features", "thumbnails"})


@dataclass(slots=True)
class Findings:
    """What the sources hold: the images' absolute paths, each once, and what else there was."""

    paths: set[Path] = field(default_factory=set)
    parents: set[Path] = field(default_factory=set)
    failures: dict[Path, ImageFailure] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    n_links: int = 0
    n_system: int = 0
    n_by_content: int = 0

    def ordered_paths(self) -> list[Path]:
        """Give the images in natural order; those that have failed already are left out."""
        return sorted(self.paths - self.failures.keys(), key=natural_key)

    def root(self) -> Path:
        """Give the deepest folder that holds all sources; the file system's own where they share none."""
        try:
            return Path(os.path.commonpath(self.parents))
        except ValueError:  # no sources that exist, or on several drives
            return Path(Path.cwd().anchor)


class _Folder(NamedTuple):
    """A folder to visit: where, the prefix of its entries' relative paths, and whether it is one of the system's."""

    path: str
    prefix: str = ""
    is_system: bool = False


class Finder:
    """Collect images from sources.

    Parameters
    ----------
    recursive, follow_symlinks, globs, include_system, by_content
        As in `scan_images`.
    progress : Progress or None
        Told after every folder how many images were found so far.
    """

    def __init__(
        self,
        *,
        recursive: bool,
        follow_symlinks: bool,
        globs: GlobFilter,
        include_system: bool = False,
        by_content: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._recursive = recursive
        self._follow_symlinks = follow_symlinks
        self._globs = globs
        self._include_system = include_system
        self._by_content = by_content
        self._progress = progress
        self.findings = Findings()

    def add_source(self, source: Path) -> None:
        """Take a folder's images, a manifest's, or the file itself."""
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
        except InvalidValueError as error:
            raise InvalidValueError(f"{str(path)!r} is not a list of images: {error}") from error

    def _add_manifest(self, content: bytes, folder: Path) -> None:
        for line in _manifest_lines(content):
            self._add_named(_existing_form(_absolute(folder / os.fsdecode(line))), folder)

    def _add_named(self, path: Path, folder: Path) -> None:
        """Take a file that a person named: of any suffix, through a link too, and even to report that it is missing."""
        inside = path.is_relative_to(folder)
        if self._globs.takes(path.relative_to(folder if inside else path.anchor).as_posix()):
            self.findings.paths.add(path)
            self.findings.parents.add(path.parent)

    def _walk(self, source: Path) -> None:
        """Visit a folder and those in it, each real folder once; what lies behind a link comes after all the others."""
        self.findings.parents.add(source)
        pending, linked = [_Folder(str(source))], deque[_Folder]()
        visited: set[tuple[int, int]] = set()
        while pending or linked:
            folder = pending.pop() if pending else linked.popleft()
            if self._follow_symlinks and not _visit(folder.path, visited):
                continue
            entries, is_system = self._list(folder)
            for entry in entries:
                try:
                    prefix = self._sort_entry(entry, folder.prefix, is_system=is_system)
                except OSError as error:
                    self._fail(Path(entry.path), explain_os_error(error))
                    continue
                if prefix and self._recursive:
                    found = _Folder(entry.path, prefix, is_system or entry.name.lower() in SYSTEM_FOLDERS)
                    (linked if entry.is_symlink() else pending).append(found)
            if self._progress:
                self._progress("find", len(self.findings.paths), None)

    def _list(self, folder: _Folder) -> tuple[list[os.DirEntry[str]], bool]:
        """List a folder by name, without hidden entries, and say whether it is left out as one of the system's.

        A project of covey's own holds nobody's images.
        """
        try:
            with os.scandir(folder.path) as entries:
                listed = sorted(entries, key=lambda e: e.name)
        except OSError as error:
            self._fail(Path(folder.path), explain_os_error(error))
            return [], False
        names = {entry.name for entry in listed}
        if _PROJECT_FILE in names and not names.isdisjoint(_PROJECT_FOLDERS):
            return [], False
        is_system = folder.is_system or (bool(folder.prefix) and NO_MEDIA in names)
        return [entry for entry in listed if not entry.name.startswith(".")], is_system and not self._include_system

    def _sort_entry(self, entry: os.DirEntry[str], prefix: str, *, is_system: bool) -> str:
        """Count a file or take it; of a folder to be visited, return the prefix of its entries' relative paths."""
        if entry.is_symlink() and not self._follow_symlinks:
            self.findings.n_links += 1
            return ""
        relative = prefix + entry.name
        if entry.is_dir():
            return "" if self._globs.leaves(relative) else relative + "/"
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - of a million names, without a path of each
        is_image = suffix in PICTURE_SUFFIXES or self._is_image_by_content(entry, suffix, is_system=is_system)
        if not is_image:
            self.findings.others[kind_of_file(suffix)] += not is_system
        elif self._globs.takes(relative):
            if is_system:
                self.findings.n_system += 1
            else:
                self.findings.paths.add(Path(entry.path))
        return ""

    def _is_image_by_content(self, entry: os.DirEntry[str], suffix: str, *, is_system: bool) -> bool:
        """Say whether a file of no known suffix is taken by its first bytes; count it if it would be."""
        if is_system or kind_of_file(suffix) != "other" or not entry.is_file():
            return False
        try:
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
                is_image = sniff_format(file.read(SIGNATURE_BYTES)) is not None
        except OSError:
            return False  # it is not known to be an image, so it is not a failure either
        self.findings.n_by_content += is_image and not self._by_content
        return is_image and self._by_content

    def _fail(self, path: Path, error: ImageReadError) -> None:
        self.findings.failures.setdefault(path, ImageFailure(path, error.code, str(error)))


def find_images(sources: Sequence[Path], finder: Finder) -> Findings:
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
    """Split a list into paths: at zero bytes, as ``find -print0`` writes them, or else at line ends.

    A line that is empty or begins with ``#`` is none. Names that are not UTF-8 are kept as the bytes they are, unless
    the list is UTF-16, as PowerShell writes it.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or (
        unmarked_utf16(content) and (b"\n\0" in content or b"\0\n" in content)  # else zeros between names of a letter
    ):
        text, encoding = decode_text(content, "The list of images")
        _logger.warning("The list of images was read as %s.", encoding)
        content = os.fsencode(text.lstrip("\ufeff").replace("\0", ""))
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        return [line for line in content.split(b"\0") if line]
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [line for line in lines if line and not line.startswith(b"#")]


def _existing_form(path: Path) -> Path:
    """Return a path as the disk has it, where a list writes its letters in another way: composed, or in cp1252."""
    if os.path.lexists(path):
        return path
    name = os.fspath(path)
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    if not name.isascii():
        with suppress(UnicodeDecodeError):
            forms.append(os.fsencode(path).decode("cp1252"))
    return next((Path(form) for form in forms if os.path.lexists(form)), path)
