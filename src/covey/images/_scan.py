"""From sources to records: find, hash, read the header, tell duplicates, and report all that was left out."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from covey.errors import ImageReadError
from covey.images._find import Finder, find_pictures
from covey.images._formats import MIN_SIDE_PX
from covey.images._globs import GlobFilter, natural_key
from covey.images._read import explain_os_error, open_regular, pillow_quiet, read_size
from covey.types import ImageFailure, ImageFile, ImageRecord, Progress

_N_THREADS = 4
_BATCH = 1024
_TASK = 16


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
    n_other : int
        Files in the folders that are no pictures by their suffix.
    n_links : int
        Symbolic links in the folders that were not followed.
    """

    records: list[ImageRecord]
    files: list[ImageFile]
    failures: list[ImageFailure]
    root: Path
    n_other: int = 0
    n_links: int = 0


def scan_images(
    sources: Sequence[Path],
    *,
    recursive: bool = True,
    follow_symlinks: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    known: Mapping[Path, ImageFile] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    progress: Progress | None = None,
) -> ScanReport:
    """Find pictures and identify them by their content.

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
    In folders, a file is a picture if its suffix is one of `PICTURE_SUFFIXES`; a file that is named directly or in a
    manifest always is. Its content decides how it is read. Pictures whose shorter side is below `MIN_SIDE_PX` pixels
    are left out as ``ERROR_IMAGE_TOO_SMALL``. Only the header is looked at: damage further on shows when `read_image`
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
    finder = Finder(recursive=recursive, follow_symlinks=follow_symlinks, globs=globs, progress=progress)
    findings = find_pictures(sources, finder)
    paths = findings.ordered_paths()
    files: list[ImageFile] = []
    failures = list(findings.failures.values())
    records: dict[str, ImageRecord] = {}
    with pillow_quiet:
        for n_done, outcome in enumerate(_identify_all(paths, _Memory(known or {}, sizes or {})), start=1):
            if isinstance(outcome, ImageFailure):
                failures.append(outcome)
            else:
                file, (width, height) = outcome
                files.append(file)
                records.setdefault(file.id, ImageRecord(file.id, file.path, width, height))
            if progress:
                progress("scan", n_done, len(paths))
    failures.sort(key=lambda failure: natural_key(failure.path))
    return ScanReport(list(records.values()), files, failures, findings.root(), findings.n_other, findings.n_links)


class _Identified(NamedTuple):
    file: ImageFile
    size: tuple[int, int]


class _Memory(NamedTuple):
    """What an earlier scan knew."""

    known: Mapping[Path, ImageFile]
    sizes: Mapping[str, tuple[int, int]]

    def recall(self, path: Path) -> _Identified | None:
        """Give what is known of a file if it is unchanged; its content is not looked at."""
        file = self.known.get(path)
        if file is None or file.id not in self.sizes:
            return None
        try:
            status = path.stat()
        except OSError:
            return None  # reading it will say why
        is_same = (status.st_size, status.st_mtime_ns) == (file.n_bytes, file.mtime_ns)
        return _Identified(file, self.sizes[file.id]) if is_same else None


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
    """Hash a file's bytes and read its header, in one go."""
    n_bytes, digest = 0, ""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            n_bytes = status.st_size
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            width, height = read_size(file, path.suffix)
        if min(width, height) < MIN_SIDE_PX:
            message = f"the picture has {width} x {height} pixels; the shorter side must have at least {MIN_SIDE_PX}"
            raise ImageReadError("ERROR_IMAGE_TOO_SMALL", message)
    except ImageReadError as error:
        return _failure(path, error, n_bytes, digest)
    except OSError as error:
        return _failure(path, explain_os_error(error), n_bytes, digest)
    return _Identified(ImageFile(path, digest, n_bytes, status.st_mtime_ns), (width, height))


def _failure(path: Path, error: ImageReadError, n_bytes: int = 0, digest: str = "") -> ImageFailure:
    return ImageFailure(path, error.code, str(error), n_bytes, digest)
