"""The project folder: images, partitions and clusters in one SQLite file, and the tables that other programs read."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from covey._files import exclusive_lock
from covey.errors import ProjectError
from covey.store import _inventory, _partitions, _tables
from covey.store._disk import disk_errors, size_of
from covey.store._features import FeatureStore
from covey.store._frames import ProjectFrames
from covey.store._migrations import open_database, read_schema
from covey.store._readings import ImageReadings
from covey.store._records import FeatureSetInfo, Ledger, Member, PartitionInfo, ProjectSummary, TablePaths
from covey.store._rows import check_inside
from covey.store._upkeep import Upkeep
from covey.types import ClusterName, ClusterSummary, ImageFailure, ImageFile, ImageRecord, Partition

_DATABASE = "project.sqlite"


class Project(ProjectFrames):
    """A project folder; get one from `Project.open`, and close it, or use it in a ``with`` statement.

    Reading needs no lock. Whoever writes holds `lock`, so that two runs do not mix. An `image_id` or `partition_id`
    that the project does not know is a `ProjectError` in each method that takes one, and so is a disk that refuses in
    each method that writes.

    Attributes
    ----------
    root : Path
        The folder.
    features : FeatureStore
        Its feature sets.
    thumbnails : Path
        The folder of its thumbnails.
    readings : ImageReadings
        Notes on its images, and which of them have equal pixels.
    upkeep : Upkeep
        What keeps it whole and small: unfinished runs, and what is gone.
    """

    def __init__(self, root: Path, connection: sqlite3.Connection) -> None:
        self.root = root
        self.features = FeatureStore(root / "features")
        self.thumbnails = root / "thumbnails"
        self._connection = connection
        self._subject = f"Project {str(root)!r}"
        self.readings = ImageReadings(connection, self._subject)
        self.upkeep = Upkeep(root, connection, self.features)

    @classmethod
    def open(cls, root: str | Path, *, create: bool = False) -> Self:
        """Open a project folder, and bring its database up to date if an older covey wrote it.

        Parameters
        ----------
        root : str or Path
            The folder.
        create : bool, default=False
            Make the project if the folder is missing or empty.

        Returns
        -------
        project : Project
            Open for reading, and for writing where the folder allows that.

        Raises
        ------
        ProjectError
            If there is no project and none may be made, a newer covey has written it, or it cannot be read.
        """
        root = Path(root)
        return cls(root, open_database(root / _DATABASE, create=create))

    def close(self) -> None:
        """Close the database; the project cannot be used any more."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the project for writing, and clear away what killed runs left half written.

        The lock is the operating system's: it ends with the process, however that ends.

        Raises
        ------
        ProjectError
            At once, naming the process that holds it, or if the folder cannot be written to.
        """
        with exclusive_lock(self.root / "project.lock", self._subject):
            self.upkeep.remove_leftovers()
            yield

    @property
    def image_root(self) -> Path | None:
        """The common folder of all scans, from which relative paths start; None before the first scan."""
        return _inventory.read_image_root(self._connection)

    @property
    def sources(self) -> list[Path]:
        """The sources of the latest scan."""
        return _inventory.read_sources(self._connection)

    def relative_path(self, path: Path) -> str:
        """Return a path as tables and pages show it.

        Parameters
        ----------
        path : Path
            An absolute path.

        Returns
        -------
        path : str
            POSIX, relative to `image_root`; absolute if outside. Bytes that are not UTF-8 are lone surrogates.
        """
        return _inventory.relative_path(os.fspath(path), self._root)

    def known_files(self) -> dict[Path, ImageFile]:
        """Return every path that holds, or held, an image: an unchanged one need not be read again.

        Returns
        -------
        files : dict of Path to ImageFile
            Paths that are gone, and images that could not be extracted, are among them.
        """
        return {file.path: file for file in _inventory.read_files(self._connection)}

    def known_sizes(self) -> dict[str, tuple[int, int]]:
        """Return width and height in pixels of every image by id."""
        return _inventory.read_sizes(self._connection)

    def record_scan(
        self,
        records: Iterable[ImageRecord],
        files: Iterable[ImageFile],
        failures: Iterable[ImageFailure],
        root: Path,
        *,
        sources: Sequence[Path] = (),
        left_out: Mapping[str, int] | None = None,
        allow_missing: bool = True,
    ) -> None:
        """Store what a scan found: all of it or, if the disk refuses, nothing.

        A scan of other sources adds to what is known. A known path that this scan did not find is marked missing if it
        lies within one of `sources`, or if nothing is there any more; it is no longer counted, and comes back with a
        scan that finds it. Failures of extraction are forgotten: extraction reports them again.

        Parameters
        ----------
        records : iterable of ImageRecord
            The distinct images.
        files : iterable of ImageFile
            Every good path, each of the id of a record or of a known image.
        failures : iterable of ImageFailure
            Every path that was left out.
        root : Path
            Common folder of the sources; `image_root` becomes the common folder of this and all earlier ones.
        sources : sequence of Path, optional
            The folders that were scanned whole, for the record and to notice what they no longer hold.
        left_out : mapping of str to int, optional
            What else was seen there, by kind; see `Ledger.left_out`.
        allow_missing : bool, default=True
            Whether more than half of the known images may be missing in a project that has runs.

        Raises
        ------
        ProjectError
            If the disk refuses, or too many images are missing; then nothing is stored.
        ValueError
            If a file has an unknown id.
        """
        with disk_errors(f"{self._subject}: the scan"):
            _inventory.record_scan(
                self._connection,
                records,
                files,
                failures,
                root=Path(root),
                sources=sources,
                left_out=left_out or {},
                allow_missing=allow_missing,
            )

    def record_failures(self, failures: Iterable[ImageFailure]) -> None:
        """Mark images that could not be extracted, until the next scan.

        Parameters
        ----------
        failures : iterable of ImageFailure
            Each is found by its id, or by its path if the id is unknown; all paths of the image become failures.

        Raises
        ------
        ProjectError
            If an image is unknown or the disk refuses; then none is marked.
        """
        with disk_errors(f"{self._subject}: the list of failures"):
            _inventory.record_failures(self._connection, failures)

    def records(self) -> list[ImageRecord]:
        """Return the present images without failure, each with its first path, in the natural order of these."""
        return _inventory.read_records(self._connection)

    def failures(self) -> list[ImageFailure]:
        """Return the present paths that were left out, in natural order."""
        return _inventory.read_failures(self._connection)

    def ledger(self) -> Ledger:
        """Count where every present path went."""
        return _inventory.read_ledger(self._connection)

    def path_of(self, image_id: str) -> Path:
        """Return the first present path of an image, or if it is gone the one where a scan saw it last.

        Parameters
        ----------
        image_id : str
            The image.
        """
        return Path(self._paths_of(image_id)[0])

    def paths_of(self, image_id: str) -> list[str]:
        """Return all present paths of an image in natural order, in the form of `relative_path`.

        Of an image that is gone it is the one where a scan saw it last.

        Parameters
        ----------
        image_id : str
            The image.
        """
        root = self._root
        return [_inventory.relative_path(path, root) for path in self._paths_of(image_id)]

    def paths(self) -> dict[str, list[str]]:
        """Return the present paths of all images without failure by id, each as `paths_of` does."""
        root = self._root
        found = _inventory.read_all_paths(self._connection)
        return {image_id: [_inventory.relative_path(path, root) for path in paths] for image_id, paths in found.items()}

    def add_partition(
        self, partition: Partition, clusters: Sequence[ClusterSummary], *, name: str | None = None
    ) -> int:
        """Store a partition with its clusters and probabilities: all of it or nothing.

        Parameters
        ----------
        partition : Partition
            Of images that the project knows. It is never changed afterwards.
        clusters : sequence of ClusterSummary
            One for each label of the partition; `covey.types.NOISE` may go without.
        name : str, optional
            Name of the run and of its folder; the number and the method, as in ``001-temi``, if not given.

        Returns
        -------
        partition_id : int
            Larger than those of all earlier partitions.

        Raises
        ------
        ProjectError
            If the name is taken, an image is unknown, or the disk refuses.
        InvalidValueError
            If the name cannot be a folder's.
        ValueError
            If arrays and summaries do not fit, or `params` or `info` are not JSON-compatible.
        """
        _partitions.check_partition(partition, clusters)
        with disk_errors(f"{self._subject}: the partition"):
            return _partitions.add_partition(self._connection, self.root / "runs", partition, clusters, name)

    def partitions(self) -> list[PartitionInfo]:
        """Return the records of all partitions, oldest first."""
        return _partitions.read_infos(self._connection)

    def partition_info(self, partition_id: int | None = None) -> PartitionInfo:
        """Return the record of one partition, without its rows.

        Parameters
        ----------
        partition_id : int, optional
            The partition; the latest if not given.
        """
        return _partitions.read_info(self._connection, partition_id, self._subject)

    def run_folder(self, partition_id: int) -> Path:
        """Return the folder of a partition's tables, which need not exist yet.

        Parameters
        ----------
        partition_id : int
            The partition.
        """
        return check_inside(self.root, self.root / "runs" / self.partition_info(partition_id).name)

    def partition(self, partition_id: int) -> Partition:
        """Read a partition back.

        Parameters
        ----------
        partition_id : int
            The partition.

        Returns
        -------
        partition : Partition
            Equal to the one that was added, rows in the same order; `probabilities` is a read-only memory map.

        Raises
        ------
        ProjectError
            If its file of probabilities is gone or damaged.
        """
        info = self.partition_info(partition_id)
        return _partitions.read_partition(self._connection, info, self.root / "runs" / info.name)

    def clusters(self, partition_id: int) -> list[ClusterSummary]:
        """Return the clusters of a partition by size, largest first.

        Parameters
        ----------
        partition_id : int
            The partition.
        """
        return _partitions.read_clusters(self._connection, self.partition_info(partition_id).id)

    def members(self, partition_id: int, label: int, *, offset: int = 0, limit: int | None = None) -> list[Member]:
        """Return the images of a cluster, most certain first.

        Parameters
        ----------
        partition_id : int
            The partition.
        label : int
            The cluster; one that does not exist has no members.
        offset : int, default=0
            How many of the most certain to leave out.
        limit : int, optional
            How many to return at most; all if not given.

        Returns
        -------
        members : list of Member
            Equally certain ones in the order of the partition's rows.
        """
        known = self.partition_info(partition_id).id
        return _partitions.read_members(self._connection, known, label, offset=offset, limit=limit, root=self._root)

    def borderline(self, partition_id: int, *, limit: int = 200) -> list[Member]:
        """Return the least certain images of a partition.

        Parameters
        ----------
        partition_id : int
            The partition.
        limit : int, default=200
            How many to return at most.

        Returns
        -------
        members : list of Member
            Least certain first; images of `covey.types.NOISE` are left out.
        """
        known = self.partition_info(partition_id).id
        return _partitions.read_borderline(self._connection, known, limit=limit, root=self._root)

    def write_names(self, partition_id: int, names: Sequence[ClusterName], *, naming: Mapping[str, Any]) -> None:
        """Give clusters of a partition other names, all of them or none; nothing else of it changes.

        Parameters
        ----------
        partition_id : int
            The partition.
        names : sequence of ClusterName
            For clusters that it has; clusters without one keep theirs.
        naming : mapping
            What made the names, JSON-compatible; replaces what was recorded before.

        Raises
        ------
        ProjectError
            If a cluster is unknown or the disk refuses.
        ValueError
            If `naming` is not JSON-compatible.
        """
        info = self.partition_info(partition_id)
        with disk_errors(f"The names of run {info.name!r}"):
            _partitions.write_names(self._connection, info, names, naming)

    def write_tables(self, partition_id: int, *, is_raw: bool = False) -> TablePaths:
        """Write the tables of a partition, each whole or not at all, and ``skipped.csv``.

        Parameters
        ----------
        partition_id : int
            The partition.
        is_raw : bool, default=False
            Leave out the apostrophe before text that a spreadsheet would run as a formula.

        Returns
        -------
        paths : TablePaths
            The files; earlier ones of the same run are replaced.
        """
        info, clusters, paths = self.partition_info(partition_id), self.clusters(partition_id), self.paths()
        folder = check_inside(self.root, self.root / "runs" / info.name)
        assignments, description = folder / "assignments.csv", folder / "clusters.json"
        _tables.write_assignments(assignments, self.partition(partition_id), clusters, paths, is_raw=is_raw)

        def first_path(image_id: str) -> str:
            return (paths.get(image_id) or self.paths_of(image_id))[0]

        _tables.write_clusters(description, info, clusters, self.image_root, first_path)
        return TablePaths(assignments, description, self.write_skipped(is_raw=is_raw))

    def write_skipped(self, *, is_raw: bool = False) -> Path:
        """Write ``skipped.csv``, whole or not at all; with its header alone if nothing was left out.

        Parameters
        ----------
        is_raw : bool, default=False
            As for `write_tables`.

        Returns
        -------
        path : Path
            The file; an earlier one is replaced.
        """
        path = self.root / "skipped.csv"
        _tables.write_skipped(path, self.failures(), self.relative_path, is_raw=is_raw)
        return path

    def write_evidence(self, evidence: Mapping[str, Any], *, partition_id: int | None = None) -> Path:
        """Write the evidence for a number of clusters, ``k.json``, whole or not at all, and return its path.

        Parameters
        ----------
        evidence : mapping
            JSON-compatible: what `covey.selection.NClustersResult.to_dict` gives, and whatever the caller adds.
        partition_id : int, optional
            The partition that the evidence belongs to; the project as a whole if not given.
        """
        return _tables.write_evidence(self.root if partition_id is None else self.run_folder(partition_id), evidence)

    def evidence(self, partition_id: int | None = None) -> dict[str, Any] | None:
        """Return what `write_evidence` wrote; None if there is nothing that this covey can read.

        Parameters
        ----------
        partition_id : int, optional
            The partition; the project as a whole if not given.
        """
        return _tables.read_evidence(self.root if partition_id is None else self.run_folder(partition_id))

    def feature_sets(self) -> list[FeatureSetInfo]:
        """Return the size of each feature set, by fingerprint."""
        return [self.features.info(fingerprint) for fingerprint in self.features.fingerprints()]

    def summary(self) -> ProjectSummary:
        """Return counts, partitions and sizes on disk."""
        return ProjectSummary(
            root=self.root,
            image_root=self.image_root,
            schema=read_schema(self._connection)[0],
            ledger=self.ledger(),
            n_missing=_inventory.count_missing(self._connection),
            feature_sets=tuple(self.feature_sets()),
            partitions=tuple(self.partitions()),
            database_bytes=(self.root / _DATABASE).stat().st_size,
            thumbnails_bytes=size_of(self.thumbnails),
            runs_bytes=size_of(self.root / "runs"),
        )

    @property
    def _root(self) -> str:
        return os.fspath(self.image_root or "")

    def _paths_of(self, image_id: str) -> list[str]:
        paths = _inventory.read_paths(self._connection, [image_id])
        if image_id not in paths:
            raise ProjectError(f"{self._subject} knows no image {image_id!r}.")
        return paths[image_id]
