"""What keeps a project whole and small: leftovers of killed processes, unfinished runs, and images that are gone."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from covey._files import remove_leftovers, write_text
from covey.errors import ProjectError
from covey.store._database import ID, PATH, read_rows, snapshot, transaction
from covey.store._disk import disk_errors
from covey.store._features import FeatureStore
from covey.store._rows import check_inside, read_partition_rows

_FINISHED = "finished"
_REQUEST = "request"


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What `Upkeep.prune` removed, or would remove.

    Attributes
    ----------
    paths : tuple of str
        Known paths at which there is no image any more.
    images : tuple of str
        Ids of images without a path whose features, thumbnails and records go.
    kept : tuple of str
        Ids of images without a path that a run holds; they stay, so that the run does.
    runs : tuple of str
        Names of the runs that hold them.
    n_bytes : int
        Bytes of the thumbnails that go. Features are written anew without their rows.
    """

    paths: tuple[str, ...]
    images: tuple[str, ...]
    kept: tuple[str, ...]
    runs: tuple[str, ...]
    n_bytes: int


class Upkeep:
    """What keeps a project whole and small; all but reading needs `Project.lock`.

    Parameters
    ----------
    root : Path
        The project's folder.
    connection : sqlite3.Connection
        To its database.
    features : FeatureStore
        Its feature sets.
    """

    def __init__(self, root: Path, connection: sqlite3.Connection, features: FeatureStore) -> None:
        self._root = root
        self._connection = connection
        self._features = features
        self._subject = f"Project {str(root)!r}"

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half written.

        Raises
        ------
        ProjectError
            If the disk refuses.
        """
        with disk_errors(f"{self._subject} holds leftovers of a killed run; the folder without them"):
            self._features.remove_leftovers()
            own = (self._root, self._root / "pixels", self._root / "checkpoints")
            for folder in (*own, *self._root.glob("runs/*/"), *self._root.glob("thumbnails/??/")):
                remove_leftovers(folder)

    def find_unfinished(self, request: str) -> int | None:
        """Return the latest partition if it answers a request and its run was killed before it was finished.

        Parameters
        ----------
        request : str
            What was asked for and of which images, as the run keeps it in ``info["request"]``.

        Returns
        -------
        partition_id : int or None
            None if there is no such run.
        """
        for info in read_partition_rows(self._connection, "ORDER BY id DESC LIMIT 1"):
            if info.info.get(_REQUEST) == request and not self._mark(info.name).exists():
                return info.id
        return None

    def finish_run(self, partition_id: int) -> None:
        """Record that everything that a run makes is written: names, tables and pages.

        Parameters
        ----------
        partition_id : int
            The partition.

        Raises
        ------
        ProjectError
            If the disk refuses.
        """
        for info in read_partition_rows(self._connection, "WHERE id = ?", (partition_id,)):
            with disk_errors(f"Run {info.name!r}"):
                write_text(self._mark(info.name), "")

    def prune(self, *, is_dry_run: bool = False, with_runs: bool = False) -> PruneReport:
        """Remove what is gone: paths at which there is no image, and images without a path that no run holds.

        Parameters
        ----------
        is_dry_run : bool, default=False
            Only say what would be removed.
        with_runs : bool, default=False
            Remove the runs that hold images without a path first, so that these images go too.

        Returns
        -------
        report : PruneReport
            What was removed, or would be.

        Raises
        ------
        ProjectError
            If the disk refuses.

        Notes
        -----
        Call it after a scan, when the disks with the images are there: a path counts as gone if the latest scan that
        should have found it did not, and nothing is there now.
        """
        with snapshot(self._connection):
            paths = self._gone_paths()
            gone = self._gone_images(paths)
            holders = self._holders(gone)
        runs = sorted({name for names in holders.values() for name in names})
        if with_runs and runs:
            self._check_corrections()
        held = set() if with_runs else holders.keys()
        images = sorted(gone - held)
        report = PruneReport(
            paths=tuple(os.fsdecode(path) for path in paths),
            images=tuple(images),
            kept=tuple(sorted(gone & held)),
            runs=tuple(runs),
            n_bytes=sum(file.stat().st_size for file in self._thumbnails(images)),
        )
        if not is_dry_run:
            self._remove(paths, images, runs if with_runs else [])
        return report

    def _gone_paths(self) -> list[bytes]:
        """Return the paths that no scan found any more and at which there is nothing now."""
        rows = read_rows(self._connection, "SELECT path FROM files WHERE NOT is_present ORDER BY path", kinds=(PATH,))
        return [path for (path,) in rows if not os.path.lexists(path)]

    def _gone_images(self, paths: Iterable[bytes]) -> set[str]:
        """Return the ids of images that have no path but these."""
        asked = set(paths)
        rows = read_rows(
            self._connection,
            "SELECT path, images.id FROM files JOIN images ON images.key = files.image",
            kinds=(PATH, ID),
        )
        with_path = {image_id for path, image_id in rows if path not in asked}
        known = {image_id for (image_id,) in read_rows(self._connection, "SELECT id FROM images", kinds=(ID,))}
        return known - with_path

    def _holders(self, images: set[str]) -> dict[str, list[str]]:
        """Return, for those of the images that are in a run, the names of the runs."""
        query = """
            SELECT DISTINCT images.id, partitions.name FROM assignments AS a
            JOIN images ON images.key = a.image JOIN partitions ON partitions.id = a.partition
            WHERE images.id IN (SELECT value FROM json_each(?))"""
        found: dict[str, list[str]] = {}
        for image_id, name in read_rows(self._connection, query, (json.dumps(sorted(images)),), kinds=(ID, str)):
            found.setdefault(image_id, []).append(name)
        return found

    def _check_corrections(self) -> None:
        """Refuse to remove runs on which corrections by hand are built."""
        known = self._connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'edits'").fetchone()[0]
        if known and self._connection.execute("SELECT count(*) FROM edits").fetchone()[0]:
            raise ProjectError(
                f"{self._subject} has corrections by hand, which are built on its runs, so none of these is removed; "
                "leave out --with-runs."
            )

    def _thumbnails(self, images: Iterable[str]) -> list[Path]:
        places = (self._root / "thumbnails" / image_id[:2] / f"{image_id}.webp" for image_id in images)
        return [place for place in places if place.is_file()]

    def _remove(self, paths: Sequence[bytes], images: Sequence[str], runs: Sequence[str]) -> None:
        """Remove rows first, in one transaction: a process killed after it leaves files that nothing refers to."""
        with disk_errors(f"{self._subject} without what is gone"), transaction(self._connection):
            for name in runs:
                number = "(SELECT id FROM partitions WHERE name = ?)"
                self._connection.execute(f"DELETE FROM assignments WHERE partition = {number}", (name,))  # noqa: S608 - constants
                self._connection.execute(f"DELETE FROM clusters WHERE partition = {number}", (name,))  # noqa: S608 - constants
                self._connection.execute("DELETE FROM partitions WHERE name = ?", (name,))
            self._connection.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in paths))
            self._connection.executemany("DELETE FROM images WHERE id = ?", ((image_id,) for image_id in images))
        known = {image_id for (image_id,) in read_rows(self._connection, "SELECT id FROM images", kinds=(ID,))}
        with disk_errors(f"{self._subject}: its features and thumbnails without what is gone"):
            for name in runs:
                shutil.rmtree(check_inside(self._root, self._root / "runs" / name), ignore_errors=True)
            for file in self._root.glob("thumbnails/??/*.webp"):
                if file.stem not in known:
                    file.unlink()
            for fingerprint in self._features.fingerprints():
                self._features.keep_only(fingerprint, known)

    def _mark(self, name: str) -> Path:
        return check_inside(self._root, self._root / "runs" / name) / _FINISHED
