"""Images and their paths: functions over the tables of migration 1.

Callers see paths as `pathlib.Path`; the database holds the bytes of the operating system, so that any name comes back
as it was: not UTF-8, with newlines, or with letters that Unicode writes in two ways.
"""

import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from covey import __version__
from covey.errors import ProjectError
from covey.store._database import ID, PATH, read_json, read_rows, readable, snapshot, transaction, utc_now
from covey.store._readings import read_notes
from covey.store._records import Ledger
from covey.types import ImageFailure, ImageFile, ImageRecord

_SEPARATOR = os.fsencode(os.sep)
_DIGITS = re.compile(rb"\d+")
_PRESENT_FILES = """
    SELECT path, is_companion, images.id, coalesce(images.pixels, '') FROM good_files JOIN images ON images.key = image
    ORDER BY images.key"""


def natural_key(path: bytes) -> tuple[bytes, bytes]:
    """Return a key that sorts paths folder by folder and numbers within names by value: ``img2`` before ``img10``.

    Small and capital ASCII letters are the same; two paths that differ in nothing else are sorted by their bytes.

    Parameters
    ----------
    path : bytes
        A path, as the operating system has it.

    Returns
    -------
    key : tuple of (bytes, bytes)
        The form that is compared, and the path itself.
    """
    padded = _DIGITS.sub(lambda number: number[0].zfill(20), path.lower())
    return padded.replace(_SEPARATOR, b"\0").replace(b"/", b"\0"), path


def record_scan(
    connection: sqlite3.Connection,
    records: Iterable[ImageRecord],
    files: Iterable[ImageFile],
    failures: Iterable[ImageFailure],
    *,
    root: Path,
    sources: Sequence[Path],
    left_out: Mapping[str, int],
    allow_missing: bool,
) -> None:
    """Store what a scan found, in one transaction; nothing if too much is missing and that is not allowed."""
    with transaction(connection):
        scan = _start_scan(connection, root, sources, left_out)
        connection.executemany(
            "INSERT INTO images (id, width, height, last_path) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "width = excluded.width, height = excluded.height, last_path = excluded.last_path "
            "WHERE (width, height, last_path) <> (excluded.width, excluded.height, excluded.last_path)",
            ((record.id, record.width, record.height, os.fsencode(record.path)) for record in records),
        )
        connection.execute("UPDATE files SET code = NULL, message = NULL WHERE image IS NOT NULL AND code IS NOT NULL")
        _write_files(connection, scan, files)
        connection.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, NULL, ?, 1, ?, 0, ?, ?, ?, 0)",
            (
                (os.fsencode(bad.path), scan, bad.n_bytes, bad.code, readable(bad.message), bad.id or None)
                for bad in failures
            ),
        )
        _mark_missing(connection, scan, sources)
        if not allow_missing:
            _refuse_missing(connection)


def record_failures(connection: sqlite3.Connection, failures: Iterable[ImageFailure]) -> None:
    """Make all paths of each failed image failures, in one transaction."""
    with transaction(connection):
        for bad in failures:
            image = connection.execute(
                "SELECT coalesce((SELECT key FROM images WHERE id = ?), (SELECT image FROM files WHERE path = ?))",
                (bad.id, os.fsencode(bad.path)),
            ).fetchone()[0]
            if image is None:
                raise ProjectError(
                    f"The project knows neither the image {bad.id!r} nor the path {str(bad.path)!r} that failed; "
                    "record a scan first."
                )
            connection.execute(
                "UPDATE files SET code = ?, message = ? WHERE image = ?", (bad.code, readable(bad.message), image)
            )


def read_records(connection: sqlite3.Connection) -> list[ImageRecord]:
    """Return the present images without failure, each with its first path, in the natural order of these.

    Of images with equal pixels it is the one that was found first. A raw file beside a JPEG comes after it.
    """
    query = """
        SELECT images.id, path, width, height, n_bytes, mtime_ns, is_companion
        FROM good_files JOIN images ON images.key = image
        WHERE pixels IS NULL OR images.key IN (
            SELECT min(images.key) FROM good_files JOIN images ON images.key = image
            WHERE pixels IS NOT NULL GROUP BY pixels)"""
    rows = read_rows(connection, query, kinds=(ID, PATH, int, int, int, int, int))
    first: dict[str, tuple[Any, ...]] = {}
    for row in sorted(rows, key=lambda row: (row[6], natural_key(row[1]))):
        first.setdefault(row[0], row)
    return [
        ImageRecord(image_id, Path(os.fsdecode(path)), width, height, n_bytes, mtime_ns)
        for image_id, path, width, height, n_bytes, mtime_ns, _ in sorted(
            first.values(), key=lambda row: natural_key(row[1])
        )
    ]


def read_failures(connection: sqlite3.Connection) -> list[ImageFailure]:
    """Return the present paths that were left out, in natural order."""
    query = """
        SELECT files.path, files.code, files.message, files.n_bytes, coalesce(images.id, files.failed_id, '')
        FROM files LEFT JOIN images ON images.key = files.image WHERE files.is_present AND files.code IS NOT NULL"""
    rows = read_rows(connection, query, kinds=(PATH, str, str, int, str))
    return [
        ImageFailure(Path(os.fsdecode(path)), code, message, n_bytes, image_id)
        for path, code, message, n_bytes, image_id in sorted(rows, key=lambda row: natural_key(row[0]))
    ]


def read_ledger(connection: sqlite3.Connection) -> Ledger:
    """Count the present paths by what became of them."""
    with snapshot(connection):
        n_found, n_good, n_images = connection.execute("""
            SELECT count(*), count(*) - count(code),
                   count(DISTINCT CASE WHEN code IS NULL THEN coalesce(pixels, image) END)
            FROM files LEFT JOIN images ON images.key = files.image WHERE is_present""").fetchone()
        failures = connection.execute("""
            SELECT code, count(*) FROM files WHERE is_present AND code IS NOT NULL GROUP BY code ORDER BY code""")
        left_out = connection.execute("SELECT left_out FROM scans ORDER BY id DESC LIMIT 1").fetchone()
        notes = Counter(note.code for note in read_notes(connection))
        return Ledger(
            n_found=n_found,
            n_embedded=n_images,
            n_duplicates=n_good - n_images,
            failures=dict(failures.fetchall()),
            notes=dict(sorted(notes.items())),
            left_out=read_json(connection, left_out[0], dict) if left_out else {},
            n_missing=_count_images(connection)[1],
        )


def count_missing(connection: sqlite3.Connection) -> int:
    """Count the known paths that are gone."""
    return int(connection.execute("SELECT count(*) FROM files WHERE NOT is_present").fetchone()[0])


def _count_images(connection: sqlite3.Connection) -> tuple[int, int]:
    """Count the images that have a path, and those that had one and have none any more."""
    n_known, n_present = connection.execute("""
        SELECT count(DISTINCT image), count(DISTINCT CASE WHEN is_present THEN image END) FROM files""").fetchone()
    return n_present, n_known - n_present


def _refuse_missing(connection: sqlite3.Connection) -> None:
    """Raise `ProjectError` if a project that has runs lacks more images than it has, as when a disk is not mounted."""
    n_present, n_missing = _count_images(connection)
    if n_missing > n_present and connection.execute("SELECT count(*) FROM partitions").fetchone()[0]:
        raise ProjectError(
            f"Only {n_present} of the {n_present + n_missing} images that this project knows are there; is a disk not "
            "mounted? Nothing was changed. Mount it and run the same command again, or cluster what is there with "
            "--allow-missing; `covey prune` forgets the others."
        )


def read_files(connection: sqlite3.Connection) -> Iterator[ImageFile]:
    """Yield every path that holds, or held, an image, those of images that could not be extracted too."""
    query = "SELECT path, images.id, n_bytes, mtime_ns, is_companion FROM files JOIN images ON images.key = files.image"
    for path, image_id, n_bytes, mtime_ns, is_companion in read_rows(
        connection, query, kinds=(PATH, ID, int, int, int)
    ):
        yield ImageFile(Path(os.fsdecode(path)), image_id, n_bytes, mtime_ns, bool(is_companion))


def read_sizes(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Return width and height of every image."""
    rows = read_rows(connection, "SELECT id, width, height FROM images", kinds=(ID, int, int))
    return {image_id: (width, height) for image_id, width, height in rows}


def read_paths(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the present paths of images, as `os.fsdecode` has them, in natural order, raw files beside a JPEG last.

    Those of images with equal pixels are among them. An image that is gone, or whose file was changed, has the one path
    where a scan saw it last; an unknown one is left out.
    """
    asked = json.dumps(list(ids))
    rows = read_rows(
        connection,
        """
        WITH asked AS (SELECT key, id, pixels FROM images WHERE id IN (SELECT value FROM json_each(?))),
        same AS (SELECT id, key FROM asked UNION
                 SELECT asked.id, images.key FROM asked JOIN images ON images.pixels = asked.pixels)
        SELECT same.id, files.path, files.is_companion FROM same
        JOIN files ON files.image = same.key AND files.is_present""",
        (asked,),
        kinds=(ID, PATH, int),
    )
    found: dict[str, list[tuple[int, bytes]]] = {}
    for image_id, path, is_companion in rows:
        found.setdefault(image_id, []).append((is_companion, path))
    query = "SELECT id, last_path FROM images WHERE id IN (SELECT value FROM json_each(?))"
    last = read_rows(connection, query, (asked,), kinds=(ID, PATH))
    for image_id, path in last:
        found.setdefault(image_id, [(0, path)])
    return {image_id: _sort_paths(paths) for image_id, paths in found.items()}


def read_all_paths(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the present paths of all images without failure, as `read_paths` does.

    Those of images with equal pixels are under the id of the one that was found first, as in `read_records`.
    """
    first: dict[str, str] = {}
    found: dict[str, list[tuple[int, bytes]]] = {}
    rows = read_rows(connection, _PRESENT_FILES, kinds=(PATH, int, ID, str))
    for path, is_companion, image_id, pixels in rows:
        shown = image_id if not pixels else first.setdefault(pixels, image_id)
        found.setdefault(shown, []).append((is_companion, path))
    return {image_id: _sort_paths(paths) for image_id, paths in found.items()}


def read_image_root(connection: sqlite3.Connection) -> Path | None:
    """Return the folder that relative paths start from, None before the first scan."""
    rows = read_rows(connection, "SELECT image_root FROM scans ORDER BY id DESC LIMIT 1", kinds=(PATH,))
    return next((Path(os.fsdecode(row[0])) for row in rows), None)


def read_sources(connection: sqlite3.Connection) -> list[Path]:
    """Return the sources of the latest scan, as they were given."""
    query = "SELECT path FROM sources WHERE scan = (SELECT max(id) FROM scans) ORDER BY position"
    rows = read_rows(connection, query, kinds=(PATH,))
    return [Path(os.fsdecode(row[0])) for row in rows]


def relative_path(path: str, root: str) -> str:
    """Return a path below `root` without it, any other as it is; with forward slashes."""
    start = root if root.endswith(os.sep) else root + os.sep
    return path.removeprefix(start).replace(os.sep, "/")


def _start_scan(
    connection: sqlite3.Connection, root: Path, sources: Sequence[Path], left_out: Mapping[str, int]
) -> int:
    """Add the scan's own row and return its number."""
    image_root = _common_root(read_image_root(connection), root)
    scan = connection.execute(
        "INSERT INTO scans (finished_at, image_root, covey_version, left_out) VALUES (?, ?, ?, ?)",
        (utc_now(), os.fsencode(image_root), __version__, json.dumps(dict(left_out))),
    ).lastrowid
    if scan is None:
        raise RuntimeError("SQLite gave the scan no number")
    connection.executemany(
        "INSERT INTO sources VALUES (?, ?, ?)",
        ((scan, position, os.fsencode(source)) for position, source in enumerate(sources)),
    )
    return scan


def _common_root(known: Path | None, root: Path) -> Path:
    """Return the folder that holds both; the known one where that is a whole disk, or there is none."""
    if known is None:
        return root
    try:
        common = Path(os.path.commonpath([known, root]))
    except ValueError:  # two drives
        return known
    return known if common == Path(common.anchor) else common


def _write_files(connection: sqlite3.Connection, scan: int, files: Iterable[ImageFile]) -> None:
    """Insert or replace the rows of good paths; each must name a known image."""
    keys = dict(connection.execute("SELECT id, key FROM images"))
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, 1, ?, ?, NULL, NULL, NULL, ?)",
        (
            (os.fsencode(file.path), _key_of(keys, file), scan, file.n_bytes, file.mtime_ns, file.is_companion)
            for file in files
        ),
    )


def _key_of(keys: dict[str, int], file: ImageFile) -> int:
    if file.id not in keys:
        raise ValueError(f"The file {str(file.path)!r} has the id {file.id!r}, which no record has.")
    return keys[file.id]


def _mark_missing(connection: sqlite3.Connection, scan: int, sources: Sequence[Path]) -> None:
    """Mark earlier paths that this scan should have found, or that no longer exist."""
    folders = tuple(os.fsencode(form) + _SEPARATOR for path in sources for form in (path.absolute(), path.resolve()))
    earlier = connection.execute("SELECT path FROM files WHERE is_present AND scan <> ?", (scan,)).fetchall()
    gone = [row for row in earlier if row[0].startswith(folders) or not os.path.lexists(row[0])]
    connection.executemany("UPDATE files SET is_present = 0 WHERE path = ?", gone)


def _sort_paths(paths: list[tuple[int, bytes]]) -> list[str]:
    """Return paths in natural order, companions last, as `os.fsdecode` has them."""
    ordered = sorted(paths, key=lambda row: (row[0], natural_key(row[1]))) if len(paths) > 1 else paths
    return [os.fsdecode(path) for _, path in ordered]
