"""From sources to records: find, hash, read the header, tell duplicates, and report all that was left out."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from covey.errors import ImageReadError
from covey.images._find import Finder, find_images
from covey.images._formats import MIN_SIDE_PX, PAIRED_SUFFIXES, RAW_SUFFIXES
from covey.images._globs import GlobFilter, natural_key
from covey.images._read import explain_os_error, open_regular, pillow_quiet, read_size
from covey.types import ImageFailure, ImageFile, ImageRecord, Progress

_N_THREADS = 4
_BATCH = 1024
_TASK = 16
_HASHED_FIRST_BYTES = 2**22  # so small a file is hashed whatever it is, in one go with its header
_TRIED_AGAIN = frozenset({"ERROR_IO", "ERROR_MEMORY", "ERROR_CHANGED"})
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan found; every path is either in `files` or in `failures`, and in it once.

    Attributes
    ----------
    records : list of ImageRecord
        The distinct images, in the order of their first paths.
    files : list of ImageFile
        Every path that holds one of them, in natural order; files with equal bytes share an id.
    failures : list of ImageFailure
        Every path that was found and left out, with the reason, in natural order.
    root : Path
        The deepest folder that holds all sources, absolute.
    others : mapping of str to int
        Files in the folders that are not images, by kind: ``"document"``, ``"video"``, ``"audio"``, ``"text"``,
        ``"archive"`` or ``"other"``.
    n_links : int
        Symbolic links in the folders that were not followed.
    n_system : int
        Images in folders of NAS, trash and system, and in those with a file ``.nomedia``, that were left out.
    n_by_content : int
        Files without a known suffix, among `others` too, whose first bytes are those of an image.
    """

    records: list[ImageRecord]
    files: list[ImageFile]
    failures: list[ImageFailure]
    root: Path
    others: Mapping[str, int] = field(default_factory=dict)
    n_links: int = 0
    n_system: int = 0
    n_by_content: int = 0

    @property
    def n_other(self) -> int:
        """Files in the folders that are not images, of all kinds."""
        return sum(self.others.values())

    def left_out(self) -> dict[str, int]:
        """Return what was found in the folders and is not in the report, by kind, without zeros.

        Returns
        -------
        counts : dict of str to int
            ``"system"``, ``"by_content"`` and ``"links"``, and the kinds of `others`.
        """
        counts = {"system": self.n_system, "by_content": self.n_by_content, "links": self.n_links, **self.others}
        return {kind: count for kind, count in counts.items() if count}


def scan_images(
    sources: Sequence[Path],
    *,
    recursive: bool = True,
    follow_symlinks: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    include_system: bool = False,
    by_content: bool = False,
    known: Mapping[Path, ImageFile] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    progress: Progress | None = None,
) -> ScanReport:
    """Find images and identify them by their content.

    Parameters
    ----------
    sources : sequence of Path
        Folders; files; manifests, which are ``.txt`` files with one path a line, relative to the manifest; or
        ``Path("-")`` for a manifest on standard input, relative to the working folder.
    recursive : bool, default=True
        Whether to visit the folders in folders. Hidden files and folders (``.name``) never are.
    follow_symlinks : bool, default=False
        Whether to follow symbolic links in folders. Each real folder of a source is visited once, so there are no
        loops. Links that are named themselves are always followed.
    include, exclude : sequence of str, default=()
        Globs on the path relative to its source (of a named file or a manifest: to the folder it lies in); see Notes.
    include_system : bool, default=False
        Whether to search folders of NAS, trash and system (``@eaDir``, ``#recycle``, ``$RECYCLE.BIN``, ...) and those
        with a file ``.nomedia`` too; a source itself always is searched.
    by_content : bool, default=False
        Whether to take files without a suffix, or with one that says nothing (``.jpg_large``, ``.download``), whose
        first bytes are those of an image.
    known : mapping of Path to ImageFile, optional
        Files of an earlier scan by absolute path. One whose size and modification time are the same is not opened.
    sizes : mapping of str to tuple of int, optional
        Width and height by id, for the files in `known`.
    progress : Progress, optional
        Told ``("find", n, None)`` after each folder, then ``("scan", n, n_total)`` after each file.

    Returns
    -------
    report : ScanReport
        Records, files and failures. Nothing about a single file is raised.

    Raises
    ------
    ValueError
        If there are no sources, or a glob is empty.

    Notes
    -----
    In folders, a file is an image if its suffix is one of `PICTURE_SUFFIXES`; a file that is named directly or in a
    manifest always is. Its content decides how it is read. Images whose shorter side is below `MIN_SIDE_PX` pixels
    are left out as ``ERROR_IMAGE_TOO_SMALL``. Only the header is read: damage further on shows when `read_image`
    decodes.

    Globs: ``*`` and ``?`` do not match ``/``, ``**`` does; case does not matter; a glob without ``/`` may match the
    name of the file or of any folder above it (``thumbs``), one with ``/`` matches from the source on
    (``scans/2019/*.tif``).

    A manifest whose entries are separated by zero bytes (``find -print0``) is read so; in others, empty lines and lines
    that begin with ``#`` are skipped. A folder that holds a project of covey's is not searched.
    """
    if not sources:
        raise ValueError("There are no sources; give at least one folder, file or manifest.")
    globs = GlobFilter(include, exclude)
    finder = Finder(
        recursive=recursive,
        follow_symlinks=follow_symlinks,
        globs=globs,
        include_system=include_system,
        by_content=by_content,
        progress=progress,
    )
    findings = find_images(sources, finder)
    collected = _Collected(_Memory(known or {}, sizes or {}), list(findings.failures.values()))
    collected.n_total, collected.progress = len(findings.paths - findings.failures.keys()), progress
    alone, pairs = _split_pairs(findings.ordered_paths())
    with pillow_quiet:
        collected.identify(alone)
        companions = list(_pair(pairs, {file.path: file.id for file in collected.files}))
        of_pairs = {file.path for file in companions}
        collected.identify([path for path in pairs if path not in of_pairs])
    files, records = [*collected.files, *companions], list(collected.records.values())
    if pairs:  # else all is in order
        files.sort(key=lambda file: natural_key(file.path))
        records.sort(key=lambda record: natural_key(record.path))
    failures = sorted(collected.failures, key=lambda failure: natural_key(failure.path))
    return ScanReport(
        records=records,
        files=files,
        failures=failures,
        root=findings.root(),
        others=findings.others,
        n_links=findings.n_links,
        n_system=findings.n_system,
        n_by_content=findings.n_by_content,
    )


class _Identified(NamedTuple):
    file: ImageFile
    size: tuple[int, int]


class _Memory(NamedTuple):
    """What an earlier scan knew."""

    known: Mapping[Path, ImageFile]
    sizes: Mapping[str, tuple[int, int]]

    def recall(self, path: Path) -> _Identified | None:
        """Give what is known of a file if it is unchanged; its content is not read."""
        file = self.known.get(path)
        if file is None or file.is_companion or file.id not in self.sizes:
            return None
        try:
            status = path.stat()
        except OSError:
            return None  # reading it will say why
        is_same = (status.st_size, status.st_mtime_ns) == (file.n_bytes, file.mtime_ns)
        return _Identified(file, self.sizes[file.id]) if is_same else None


@dataclass(slots=True)
class _Collected:
    """The outcomes of a scan so far."""

    memory: _Memory
    failures: list[ImageFailure]
    files: list[ImageFile] = field(default_factory=list)
    records: dict[str, ImageRecord] = field(default_factory=dict)
    n_done: int = 0
    n_total: int = 0
    progress: Progress | None = None

    def identify(self, paths: Sequence[Path]) -> None:
        """Add the outcome of every path, in order."""
        for outcome in _identify_all(paths, self.memory):
            if isinstance(outcome, ImageFailure):
                self.failures.append(outcome)
            else:
                file, (width, height) = outcome
                self.files.append(file)
                record = ImageRecord(file.id, file.path, width, height, file.n_bytes, file.mtime_ns)
                self.records.setdefault(file.id, record)
            self.n_done += 1
            if self.progress:
                self.progress("scan", self.n_done, self.n_total)


def _split_pairs(paths: Sequence[Path]) -> tuple[list[Path], dict[Path, Path]]:
    """Set those raw files apart beside which the camera wrote a JPEG or HEIF; each is mapped to that file."""
    raw = [path for path in paths if path.suffix.lower() in RAW_SUFFIXES]
    if not raw:
        return list(paths), {}
    developed = {path.with_suffix(""): path for path in paths if path.suffix.lower() in PAIRED_SUFFIXES}
    pairs = {path: developed[stem] for path in raw if (stem := path.with_suffix("")) in developed}
    return [path for path in paths if path not in pairs], pairs


def _pair(pairs: Mapping[Path, Path], ids: Mapping[Path, str]) -> Iterator[ImageFile]:
    """Yield the raw files whose counterpart was read: each is a further path of that image."""
    for path, developed in pairs.items():
        if developed in ids:
            with suppress(OSError):  # identifying it will say why
                status = path.stat()
                yield ImageFile(path, ids[developed], status.st_size, status.st_mtime_ns, is_companion=True)


def _identify_all(paths: Sequence[Path], memory: _Memory) -> Iterator[_Identified | ImageFailure]:
    """Yield every path's outcome in order: from memory, or read in threads, which wait for the disk side by side."""
    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="covey-scan") as pool:
        for batch in _batches(paths, _BATCH):  # so that a million files are not a million tasks at once
            recalled = [memory.recall(path) for path in batch]
            changed = [path for path, known in zip(batch, recalled, strict=True) if known is None]
            read = chain.from_iterable(pool.map(_identify_some, _batches(changed, _TASK)))
            yield from (known or next(read) for known in recalled)


def _batches(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    return (paths[start : start + size] for start in range(0, len(paths), size))


def _identify_some(paths: Sequence[Path]) -> list[_Identified | ImageFailure]:
    return [_identify(path) for path in paths]


def _identify(path: Path) -> _Identified | ImageFailure:
    """Identify a file; one that the disk or network fails to give, or that is being written, is tried once more."""
    outcome = _try_to_identify(path)
    if isinstance(outcome, ImageFailure) and outcome.code in _TRIED_AGAIN:
        time.sleep(_PAUSE_S)
        outcome = _try_to_identify(path)
    return outcome


def _try_to_identify(path: Path) -> _Identified | ImageFailure:
    """Read a file's header, then hash its bytes: what is not an image is not hashed if that would take long."""
    n_bytes, digest = 0, ""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            n_bytes = status.st_size
            if n_bytes <= _HASHED_FIRST_BYTES:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            width, height = read_size(file, path.suffix)
            if min(width, height) < MIN_SIDE_PX:
                message = f"the image has {width} x {height} pixels; the shorter side must have at least {MIN_SIDE_PX}"
                raise ImageReadError("ERROR_IMAGE_TOO_SMALL", message)
            if not digest:
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (n_bytes, status.st_mtime_ns):
            raise ImageReadError("ERROR_CHANGED", "the file was written to while it was read: run the command again")
    except ImageReadError as error:
        return _failure(path, error, n_bytes, digest)
    except OSError as error:
        return _failure(path, explain_os_error(error), n_bytes, digest)
    return _Identified(ImageFile(path, digest, n_bytes, status.st_mtime_ns), (width, height))


def _failure(path: Path, error: ImageReadError, n_bytes: int = 0, digest: str = "") -> ImageFailure:
    return ImageFailure(path, error.code, str(error), n_bytes, digest)
