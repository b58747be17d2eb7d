"""What the store returns about a project: small frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where every found path went; ``n_found == n_embedded + n_duplicates + sum(failures.values())`` always.

    Attributes
    ----------
    n_found : int
        Paths that are there: those of the latest scan, and those of earlier scans that no scan found gone.
    n_embedded : int
        Distinct images without a failure.
    n_duplicates : int
        Further paths of these images: of equal bytes, of equal decoded pixels, or raw files beside their JPEG.
    failures : mapping of str to int
        Paths left out, counted by error code; in the order of the codes.
    notes : mapping of str to int
        Images, among those embedded, of which there is something to say, counted by its code.
    left_out : mapping of str to int
        What the latest scan saw in the folders and did not count as found, by kind; see `covey.images.ScanReport`.
    n_missing : int
        Distinct images that were found once and have no path any more; they are not among those found.
    """

    n_found: int
    n_embedded: int
    n_duplicates: int
    failures: Mapping[str, int]
    notes: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    n_missing: int = 0


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """A stored partition without its rows.

    Attributes
    ----------
    id : int
        Number within the project, rising.
    name : str
        Name of the run, and of its folder below ``runs/``.
    created_at : str
        UTC, ISO 8601, to the second.
    method, params, info, fingerprint
        As in `covey.types.Partition`.
    n_images : int
        Number of rows.
    n_clusters : int
        Number of clusters, `covey.types.NOISE` not counted.
    covey_version : str
        The version of covey that made it.
    naming : mapping
        What named its clusters: ``source``, ``is_bridge``, ``vocabulary`` and the rest; empty if nothing did.
    """

    id: int
    name: str
    created_at: str
    method: str
    params: Mapping[str, Any]
    info: Mapping[str, Any]
    fingerprint: str
    n_images: int
    n_clusters: int
    covey_version: str
    naming: Mapping[str, Any] = field(default_factory=dict)

    @property
    def backbones(self) -> tuple[str, ...]:
        """Names of the backbones whose features were clustered; none where the run did not record them."""
        backbone = self.info.get("backbone") or ()
        if isinstance(backbone, str):  # of older runs
            return (backbone,)
        entries = [backbone] if isinstance(backbone, Mapping) else backbone
        return tuple(str(entry.get("name", "")) for entry in entries)


@dataclass(frozen=True, slots=True)
class Member:
    """One image as a member of a cluster.

    Attributes
    ----------
    id : str
        The image's id.
    path : str
        Its first path, POSIX, relative to the project's image root; absolute if outside. Bytes of the name that are
        not UTF-8 are lone surrogates, as `os.fsdecode` makes them.
    label : int
        Its cluster, -1 for `covey.types.NOISE`.
    confidence : float
        In [0, 1], larger is more certain.
    second_label : int
        The next best cluster, -1 if there is none.
    width, height : int
        Size in pixels after the EXIF turn.
    """

    id: str
    path: str
    label: int
    confidence: float
    second_label: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FeatureSetInfo:
    """The size of one feature set on disk.

    Attributes
    ----------
    fingerprint : str
        Its name.
    n_images : int
        Images with features.
    n_features : int
        Width of a row, 0 if it has none yet.
    n_shards : int
        Number of shard files.
    n_bytes : int
        Bytes on disk, the assembled matrix included.
    """

    fingerprint: str
    n_images: int
    n_features: int
    n_shards: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """A project at a glance.

    Attributes
    ----------
    root : Path
        The project's folder.
    image_root : Path or None
        The folder that relative paths start from; None before the first scan.
    schema : int
        Schema version of the database.
    ledger : Ledger
        Where every found path went.
    n_missing : int
        Known paths that are gone.
    feature_sets : tuple of FeatureSetInfo
        Sorted by fingerprint.
    partitions : tuple of PartitionInfo
        Oldest first.
    database_bytes, thumbnails_bytes, runs_bytes : int
        Bytes on disk.
    """

    root: Path
    image_root: Path | None
    schema: int
    ledger: Ledger
    n_missing: int
    feature_sets: tuple[FeatureSetInfo, ...]
    partitions: tuple[PartitionInfo, ...]
    database_bytes: int
    thumbnails_bytes: int
    runs_bytes: int


class TablePaths(NamedTuple):
    """Where the tables of a partition were written.

    Attributes
    ----------
    assignments : Path
        ``assignments.csv``: the cluster of each path.
    clusters : Path
        ``clusters.json``: the run and its clusters.
    skipped : Path
        ``skipped.csv``: a row for each path that was left out.
    """

    assignments: Path
    clusters: Path
    skipped: Path


def read_groups(info: Mapping[str, Any]) -> dict[int, int]:
    """Return the group of each cluster of a run.

    Parameters
    ----------
    info : mapping
        `PartitionInfo.info`.

    Returns
    -------
    groups : dict of int to int
        Group 0 has most images; empty for a run without groups.
    """
    tree = info.get("tree") or {}
    members = next((level["members"] for level in tree.get("levels", ()) if level["name"] == tree.get("groups")), ())
    return {int(label): group for group, labels in enumerate(members) for label in labels}
