"""What is exported: images with their place in the result, and what of them was asked for."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from covey.corrections import Corrected, find_corrected
from covey.curation import RUN, STATUSES, name_key
from covey.errors import InvalidValueError
from covey.exports._operations import Operation
from covey.store import Project, read_image_keys, read_run_arrays
from covey.types import NOISE

MODES = ("symlink", "copy", "hardlink", "move")
LEVELS = ("clusters", "coarse", "both")


@dataclass(frozen=True, slots=True)
class ExportedCluster:
    """One cluster of the result.

    Attributes
    ----------
    id : int
        Its id.
    name : str
        Its name, never empty.
    group : str
        Name of its coarse group; empty if it is in none.
    is_hidden, is_reviewed, is_named_by_hand : bool
        Whether a person hid it, looked it through, and gave it its name.
    merged_from : tuple of int
        Ids of the clusters that were merged into it.
    """

    id: int
    name: str
    group: str = ""
    is_hidden: bool = False
    is_reviewed: bool = False
    is_named_by_hand: bool = False
    merged_from: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """One image in the result.

    Attributes
    ----------
    id : str
        sha256 of its bytes.
    files : tuple of (str, str)
        Absolute paths that hold it now, in natural order, bytes that are not UTF-8 as lone surrogates, each with the
        sha256 of its own bytes; none if it is gone. A camera's raw file beside a JPEG is not among them.
    paths : tuple of str
        All its paths as tables show them.
    cluster, second : int
        Its cluster and the next best one, -1 for none.
    status : str
        One of `covey.curation.STATUSES`.
    confidence : float
        In [0, 1].
    width, height : int
        In pixels.
    """

    id: str
    files: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]
    cluster: int
    second: int
    status: str
    confidence: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ExportSource:
    """A result, corrected or as a run made it.

    Attributes
    ----------
    project, image_root : Path
        Folders.
    sources : sequence of Path
        Folders that no export is ever written into.
    run : str
        Name of the run, or of the base run.
    seq : int
        The last edit that is in it; 0 without corrections.
    clusters : mapping of int to ExportedCluster
        By id.
    images : sequence of ExportedImage
        By key.
    """

    project: Path
    image_root: Path
    sources: Sequence[Path]
    run: str
    seq: int
    clusters: Mapping[int, ExportedCluster]
    images: Sequence[ExportedImage]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is asked for.

    Attributes
    ----------
    mode : {"symlink", "copy", "hardlink", "move"}, default="symlink"
        How images come into folders.
    level : {"clusters", "coarse", "both"}, default="both"
        Folders of clusters, of groups, or of clusters within groups.
    only : sequence of str
        Ids or names of clusters; all if empty.
    min_score : float, default=0
        The least confidence, in [0, 1].
    with_hidden, with_aside : bool
        Whether hidden clusters, and images in no cluster, are a part.
    all_copies : bool
        Whether every path of an image is exported, not its first one alone.
    has_class_layout : bool
        Whether images in no cluster go into ``_unlabeled``, as readers of class folders have it.
    is_for_excel : bool
        Whether a table begins with a byte order mark and cells that look like formulas are quoted.
    """

    mode: str = "symlink"
    level: str = "both"
    only: Sequence[str] = ()
    min_score: float = 0.0
    with_hidden: bool = False
    with_aside: bool = False
    all_copies: bool = False
    has_class_layout: bool = False
    is_for_excel: bool = False

    def check(self) -> None:
        """Raise `InvalidValueError` if a value is not allowed."""
        for name, value, allowed in (("mode", self.mode, MODES), ("level", self.level, LEVELS)):
            if value not in allowed:
                raise InvalidValueError(f"The {name} is {value!r}; it must be one of {', '.join(allowed)}.")
        if not 0 <= self.min_score <= 1:
            raise InvalidValueError(f"The least score is {self.min_score}; a confidence lies in [0, 1].")

    def as_dict(self) -> dict[str, object]:
        """Return the options, so that a later call can tell whether it is the same export.

        Returns
        -------
        options : dict of str to object
            Values by name, JSON-compatible.
        """
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((name, getattr(self, name)) for name in self.__slots__)
        }


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export would do.

    Attributes
    ----------
    operations : sequence of Operation
        In order.
    contents : mapping of str to iterable of bytes
        What the operations ``write`` put into their files, by target.
    n_missing, n_skipped, n_renamed : int
        Images that are gone, that were not asked for, and files that got another name.
    """

    operations: Sequence[Operation]
    contents: Mapping[str, Iterable[bytes]] = field(default_factory=dict)
    n_missing: int = 0
    n_skipped: int = 0
    n_renamed: int = 0


def read_source(project: Project, partition_id: int | None = None) -> ExportSource:
    """Read what is to be exported.

    Parameters
    ----------
    project : Project
        Open.
    partition_id : int, optional
        A run, as it was computed; the corrected result if not given, or the latest run where nothing was corrected.

    Returns
    -------
    source : ExportSource
        With all images, whether there or gone.

    Raises
    ------
    ProjectError
        If there is no run.
    """
    corrected = find_corrected(project) if partition_id is None else None
    if corrected is not None:
        clusters, rows, run = _corrected_clusters(corrected), _corrected_rows(corrected), corrected.info.name
        seq = corrected.state.seq
    else:
        info = project.partition_info(partition_id)
        clusters = {
            cluster.label: ExportedCluster(cluster.label, cluster.name.name or f"Cluster {cluster.label}")
            for cluster in project.clusters(info.id)
            if cluster.label != NOISE
        }
        rows, run, seq = _run_rows(project, info.id), info.name, 0
    on_disk = _present_files(project)
    sizes, shown = project.known_sizes(), project.paths()
    images = [
        ExportedImage(
            image_id,
            tuple(on_disk[path] for path in shown.get(image_id, ()) if path in on_disk),
            tuple(shown.get(image_id, ())),
            cluster,
            second,
            status,
            confidence,
            *sizes[image_id],
        )
        for image_id, cluster, second, status, confidence in rows
    ]
    sources = [path.resolve() for path in (*project.sources, *([project.image_root] if project.image_root else []))]
    root = project.root.resolve()
    return ExportSource(root, project.image_root or root, sources, run, seq, clusters, images)


def select(source: ExportSource, options: ExportOptions) -> Iterator[ExportedImage]:
    """Yield the images that are asked for, whether there or gone, in their order.

    Raises
    ------
    InvalidValueError
        If a cluster of `ExportOptions.only` is unknown.
    """
    wanted = _wanted(source, options)
    for image in source.images:
        if image.cluster == NOISE:
            is_wanted = options.with_aside and not options.only
        else:
            is_wanted = image.cluster in wanted and image.confidence >= options.min_score
        if is_wanted:
            yield image


def _wanted(source: ExportSource, options: ExportOptions) -> set[int]:
    """Return the ids of the clusters that are asked for; a hidden one may be named."""
    if not options.only:
        return {cluster.id for cluster in source.clusters.values() if options.with_hidden or not cluster.is_hidden}
    by_name = {name_key(cluster.name): cluster.id for cluster in source.clusters.values()}
    wanted = set()
    for word in options.only:
        number = int(word) if word.isdecimal() and int(word) in source.clusters else by_name.get(name_key(word))
        if number is None:
            raise InvalidValueError(
                f"There is no cluster {word!r} to export; covey edits PROJECT show --clusters lists them."
            )
        wanted.add(number)
    return wanted


def _corrected_clusters(corrected: Corrected) -> dict[int, ExportedCluster]:
    state = corrected.state
    merged: dict[int, list[int]] = {}
    for cluster in state.clusters.values():
        if cluster.merged_into is not None:
            merged.setdefault(cluster.merged_into, []).append(cluster.id)
    return {
        cluster.id: ExportedCluster(
            cluster.id,
            cluster.title,
            "" if cluster.group is None else state.groups[cluster.group],
            cluster.is_hidden,
            cluster.is_reviewed,
            cluster.is_named_by_hand,
            tuple(merged.get(cluster.id, ())),
        )
        for cluster in state.alive
    }


def _corrected_rows(corrected: Corrected) -> Iterator[tuple[str, int, int, str, float]]:
    state = corrected.state
    columns = (state.cluster.tolist(), corrected.second.tolist(), state.state.tolist(), corrected.confidence.tolist())
    for image_id, cluster, second, status, confidence in zip(corrected.ids, *columns, strict=True):
        yield image_id, cluster, second, STATUSES[status], confidence


def _run_rows(project: Project, partition_id: int) -> Iterator[tuple[str, int, int, str, float]]:
    arrays = read_run_arrays(project, partition_id)
    keys, ids = read_image_keys(project)
    by_key = dict(zip(keys.tolist(), ids, strict=True))
    columns = (arrays.images.tolist(), arrays.labels.tolist(), arrays.second.tolist(), arrays.confidence.tolist())
    for image, label, second, confidence in zip(*columns, strict=True):
        yield by_key[image], label, second, STATUSES[RUN], confidence


def _present_files(project: Project) -> dict[str, tuple[str, str]]:
    """Return the absolute path and the sha256 of every file, raw ones beside a JPEG left out, by the path in tables."""
    return {
        project.relative_path(path): (os.fspath(path), file.id)
        for path, file in project.known_files().items()
        if not file.is_companion
    }
