"""The project folder: what is known of images, partitions and clusters, in one SQLite file."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from covey.store._features import FeatureStore
from covey.store._records import Ledger, Member, PartitionInfo, ProjectSummary
from covey.types import ClusterSummary, ImageFailure, ImageFile, ImageRecord, Partition


class Project:
    """A project folder, opened with `Project.open`."""

    root: Path
    features: FeatureStore
    thumbnails: Path

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> "Project":
        """Open a project folder, or make one; `ProjectError` if missing, newer, or not a project."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the database."""
        raise NotImplementedError

    def __enter__(self) -> "Project":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def lock(self) -> AbstractContextManager[None]:
        """Hold the project for writing; `ProjectError` naming the process that holds it."""
        raise NotImplementedError

    @property
    def image_root(self) -> Path | None:
        """The common folder of all scans; relative paths start from it. None before the first scan."""
        raise NotImplementedError

    def relative_path(self, path: Path) -> str:
        """Return a path as the tables show it: POSIX, relative to `image_root`, absolute if outside."""
        raise NotImplementedError

    def known_files(self) -> dict[Path, ImageFile]:
        """Return all good files, those marked missing too: an unchanged one need not be read again."""
        raise NotImplementedError

    def known_sizes(self) -> dict[str, tuple[int, int]]:
        """Return width and height of all images by id."""
        raise NotImplementedError

    def record_scan(
        self,
        records: Iterable[ImageRecord],
        files: Iterable[ImageFile],
        failures: Iterable[ImageFailure],
        root: Path,
        *,
        sources: Sequence[Path] | None = None,
    ) -> None:
        """Take in what a scan found, in one transaction.

        A known path that this scan did not find is marked missing if nothing is there any more, or if it lies under
        one of `sources`; other earlier paths stay.
        """
        raise NotImplementedError

    def record_failures(self, failures: Iterable[ImageFailure]) -> None:
        """Mark images that could not be extracted: all paths of the image count as failures until the next scan."""
        raise NotImplementedError

    def records(self) -> list[ImageRecord]:
        """Return the present images without failure, in natural order of their first paths."""
        raise NotImplementedError

    def failures(self) -> list[ImageFailure]:
        """Return the present paths that were left out, in natural order."""
        raise NotImplementedError

    def ledger(self) -> Ledger:
        """Count where every found path went."""
        raise NotImplementedError

    def path_of(self, image_id: str) -> Path:
        """Return the first present path of an image, or the last known one."""
        raise NotImplementedError

    def paths_of(self, image_id: str) -> list[Path]:
        """Return all present paths of an image in natural order (the last known ones if none is present)."""
        raise NotImplementedError

    def add_partition(
        self, partition: Partition, clusters: Sequence[ClusterSummary], *, name: str | None = None
    ) -> int:
        """Store a partition with its clusters, all or nothing, and return its id."""
        raise NotImplementedError

    def partitions(self) -> list[PartitionInfo]:
        """Return all partitions, oldest first."""
        raise NotImplementedError

    def partition_info(self, partition_id: int | None = None) -> PartitionInfo:
        """Return one partition's information, the latest by default; `ProjectError` if there is none."""
        raise NotImplementedError

    def partition(self, partition_id: int) -> Partition:
        """Read a partition back, rows in the order in which they were given."""
        raise NotImplementedError

    def run_folder(self, partition_id: int) -> Path:
        """Return the folder of a partition's tables, ``runs/<name>``."""
        raise NotImplementedError

    def clusters(self, partition_id: int) -> list[ClusterSummary]:
        """Return the clusters by size, largest first."""
        raise NotImplementedError

    def members(self, partition_id: int, label: int, *, offset: int = 0, limit: int | None = None) -> list[Member]:
        """Return the images of a cluster, surest first."""
        raise NotImplementedError

    def borderline(self, partition_id: int, *, limit: int = 200) -> list[Member]:
        """Return the least sure images of a partition, least sure first; noise is left out."""
        raise NotImplementedError

    def summary(self) -> ProjectSummary:
        """Return sizes, counts and partitions."""
        raise NotImplementedError
