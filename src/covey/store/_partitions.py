"""Partitions in the database, and the files of their probabilities and representations."""

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from covey import __version__
from covey._files import DamagedFileError, atomic_write, map_tensor
from covey.errors import InvalidValueError, ProjectError
from covey.store._database import ID, read_rows, readable, refuse_damage, transaction, utc_now
from covey.store._inventory import read_paths, relative_path
from covey.store._records import Member, PartitionInfo
from covey.store._rows import is_folder_name, read_assignment_rows, read_cluster_rows, read_partition_rows
from covey.types import NOISE, ClusterName, ClusterSummary, FloatArray, Partition

PROBABILITIES = "probabilities.safetensors"
REPRESENTATION = "representation.safetensors"
_TENSORS = {PROBABILITIES: "probabilities", REPRESENTATION: "Z"}
_MEMBER_KINDS = (ID, int, float, int, int, int)


def check_partition(partition: Partition, clusters: Sequence[ClusterSummary]) -> None:
    """Raise `ValueError` if the arrays do not fit one another or the summaries do not fit the arrays."""
    n = len(partition.ids)
    arrays: dict[str, NDArray[Any]] = {
        "labels": partition.labels,
        "confidence": partition.confidence,
        "second_labels": partition.second_labels,
    }
    for name, array in arrays.items():
        if array.shape != (n,):
            raise ValueError(f"{name} has shape {array.shape}; the partition has {n} ids.")
    if len(set(partition.ids)) != n:
        raise ValueError(f"The partition has {n} ids, but only {len(set(partition.ids))} distinct ones.")
    if n and not (partition.confidence.min() >= 0 and partition.confidence.max() <= 1 + 1e-5):  # NaN fails too
        raise ValueError("confidence must lie in [0, 1].")
    for name, matrix in (("probabilities", partition.probabilities), ("representation", partition.representation)):
        if matrix is not None and (matrix.ndim != 2 or len(matrix) != n):
            raise ValueError(f"{name} has shape {matrix.shape}; the partition has {n} ids.")
    labels, counts = np.unique(partition.labels, return_counts=True)
    sizes = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    recorded = {cluster.label: cluster.size for cluster in clusters}
    if len(recorded) != len(clusters) or min(sizes, default=0) < NOISE:
        raise ValueError("Labels must be -1 or more, and each label has one summary.")
    for label in (sizes | recorded).keys() - ({NOISE} - recorded.keys()):
        if sizes.get(label, 0) != recorded.get(label, 0):
            raise ValueError(
                f"Cluster {label} has {sizes.get(label, 0)} images; its summary says {recorded.get(label, 0)}."
            )


def add_partition(
    connection: sqlite3.Connection,
    runs: Path,
    partition: Partition,
    clusters: Sequence[ClusterSummary],
    name: str | None,
) -> int:
    """Store a checked partition, its clusters and its matrices, all or nothing; return its id.

    Files are in place before the transaction ends: a process killed between the two leaves files that no row knows,
    and the next partition of that name clears them away.
    """
    written: list[Path] = []
    try:
        with transaction(connection):
            partition_id, name = _insert_partition(connection, partition, clusters, name)
            _insert_clusters(connection, partition_id, clusters)
            _insert_assignments(connection, partition_id, partition)
            matrices = {PROBABILITIES: partition.probabilities, REPRESENTATION: partition.representation}
            for file, matrix in matrices.items():
                path = runs / name / file
                path.unlink(missing_ok=True)  # a killed run may have left it; no row has this name
                if matrix is not None:
                    written.append(path)
                    _write_matrix(path, matrix)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return partition_id


def read_infos(connection: sqlite3.Connection) -> list[PartitionInfo]:
    """Return the records of all partitions, oldest first."""
    return list(read_partition_rows(connection))


def read_info(connection: sqlite3.Connection, partition_id: int | None, subject: str) -> PartitionInfo:
    """Return the record of one partition, of the latest if `partition_id` is None."""
    ids = [row[0] for row in connection.execute("SELECT id FROM partitions ORDER BY id")]
    if not ids:
        raise ProjectError(f"{subject} has no partition yet; `covey cluster` makes one.")
    if partition_id is not None and partition_id not in ids:
        raise ProjectError(f"{subject} has no partition {partition_id}; there are: {', '.join(map(str, ids))}.")
    chosen = ids[-1] if partition_id is None else partition_id
    info = next(read_partition_rows(connection, "WHERE id = ?", (chosen,)), None)
    if info is None:
        refuse_damage(connection, f"run {chosen} is listed, but cannot be found")
    return info


def read_partition(connection: sqlite3.Connection, info: PartitionInfo, folder: Path) -> Partition:
    """Read a partition back, rows in the order in which they were given."""
    positions, ids, labels, confidence, second_labels = read_assignment_rows(connection, info.id)
    order = np.argsort(np.array(positions, dtype=np.int64))
    partition = Partition(
        ids=tuple(ids[row] for row in order),
        labels=np.array(labels, dtype=np.int64)[order],
        probabilities=_read_matrix(connection, info, folder / PROBABILITIES),
        confidence=np.array(confidence, dtype=np.float32)[order],
        second_labels=np.array(second_labels, dtype=np.int64)[order],
        fingerprint=info.fingerprint,
        method=info.method,
        params=info.params,
        info=info.info,
        representation=_read_matrix(connection, info, folder / REPRESENTATION),
    )
    try:
        check_partition(partition, read_clusters(connection, info.id))
    except ValueError as error:
        refuse_damage(connection, f"run {info.name!r} does not fit together ({error})")
    return partition


def write_names(
    connection: sqlite3.Connection, info: PartitionInfo, names: Sequence[ClusterName], naming: Mapping[str, Any]
) -> None:
    """Give clusters of a partition other names, all of them or none; nothing else of it changes."""
    known = {cluster.label for cluster in read_clusters(connection, info.id)}
    unknown = [name.label for name in names if name.label not in known]
    if unknown:
        raise ProjectError(f"Run {info.name!r} has no cluster {unknown[0]}; it has {len(known)} clusters.")
    with transaction(connection):
        connection.execute("UPDATE partitions SET naming = ? WHERE id = ?", (_to_json("naming", naming), info.id))
        connection.executemany(
            "UPDATE clusters SET name = ?, name_score = ?, runners_up = ?, runner_up_scores = ? "
            "WHERE partition = ? AND label = ?",
            ((*_name_columns(name), info.id, name.label) for name in names),
        )


def read_clusters(connection: sqlite3.Connection, partition_id: int) -> list[ClusterSummary]:
    """Return the clusters by size, largest first."""
    return read_cluster_rows(connection, partition_id)


def read_members(
    connection: sqlite3.Connection, partition_id: int, label: int, *, offset: int, limit: int | None, root: str
) -> list[Member]:
    """Return the images of a cluster, most certain first."""
    rows = read_rows(
        connection,
        """
        SELECT images.id, a.label, a.confidence, a.second_label, images.width, images.height
        FROM assignments AS a JOIN images ON images.key = a.image
        WHERE a.partition = ? AND a.label = ? AND a.rank >= ? AND a.rank < ? ORDER BY a.rank""",
        (partition_id, label, offset, 2**62 if limit is None else offset + limit),
        kinds=_MEMBER_KINDS,
    )
    return _members(connection, rows, root)


def read_borderline(connection: sqlite3.Connection, partition_id: int, *, limit: int, root: str) -> list[Member]:
    """Return the least certain images that have a cluster, least certain first."""
    rows = read_rows(
        connection,
        """
        WITH a AS (
            SELECT * FROM assignments WHERE partition = ? AND label <> ? ORDER BY confidence, position LIMIT ?
        )
        SELECT images.id, a.label, a.confidence, a.second_label, images.width, images.height
        FROM a JOIN images ON images.key = a.image ORDER BY a.confidence, a.position""",
        (partition_id, NOISE, limit),
        kinds=_MEMBER_KINDS,
    )
    return _members(connection, rows, root)


def _insert_partition(
    connection: sqlite3.Connection, partition: Partition, clusters: Sequence[ClusterSummary], name: str | None
) -> tuple[int, str]:
    """Insert the partition's own row and return its id and its name."""
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'partitions'").fetchone()[
        0
    ]
    taken = {row[0].casefold() for row in connection.execute("SELECT name FROM partitions")}
    name = _free_name(partition.method, last + 1, taken) if name is None else _check_name(name, taken)
    row = (
        last + 1,
        name,
        utc_now(),
        partition.method,
        _to_json("params", partition.params),
        _to_json("info", partition.info),
        partition.fingerprint,
        len(partition.ids),
        sum(cluster.label != NOISE for cluster in clusters),
        partition.probabilities is not None,
        __version__,
        "{}",
    )
    connection.execute(f"INSERT INTO partitions VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 (marks alone)
    return last + 1, name


def _insert_clusters(connection: sqlite3.Connection, partition_id: int, clusters: Iterable[ClusterSummary]) -> None:
    connection.executemany(
        "INSERT INTO clusters (partition, label, name, name_score, runners_up, runner_up_scores, size, "
        "mean_confidence, "
        "cohesion, nearest_label, representatives, borderline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                partition_id,
                cluster.label,
                *_name_columns(cluster.name),
                cluster.size,
                cluster.mean_confidence,
                cluster.cohesion,
                cluster.nearest_label,
                json.dumps(cluster.representatives),
                json.dumps(cluster.borderline),
            )
            for cluster in clusters
        ),
    )


def _insert_assignments(connection: sqlite3.Connection, partition_id: int, partition: Partition) -> None:
    """Insert a row for each image by cluster, the most certain first; equally certain ones in the given order."""
    keys = dict(connection.execute("SELECT id, key FROM images"))
    unknown = [image_id for image_id in partition.ids if image_id not in keys]
    if unknown:
        raise ProjectError(f"{len(unknown)} images of the partition are not in the project (first: {unknown[0]}).")
    images = np.array([keys[image_id] for image_id in partition.ids], dtype=np.int64)
    order = np.lexsort((-partition.confidence, partition.labels))
    labels = partition.labels[order]
    ranks = np.arange(len(order)) - np.searchsorted(labels, labels, side="left")
    columns = (labels, ranks, images[order], order, partition.confidence[order], partition.second_labels[order])
    connection.executemany(
        "INSERT INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?)",
        zip(repeat(partition_id), *(column.tolist() for column in columns)),
    )


def _members(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]], root: str) -> list[Member]:
    found = list(rows)
    paths = read_paths(connection, (row[0] for row in found))
    return [
        Member(image_id, relative_path(paths[image_id][0], root), label, confidence, second_label, width, height)
        for image_id, label, confidence, second_label, width, height in found
    ]


def _name_columns(name: ClusterName) -> tuple[str, float, str, str]:
    return readable(name.name), name.score, json.dumps(name.runners_up), json.dumps(name.runner_up_scores)


def _to_json(name: str, values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of the partition is not JSON-compatible: {error}") from error


def _free_name(method: str, number: int, taken: set[str]) -> str:
    """Return ``001-temi`` or the like, with the next number whose name is free."""
    stem = re.sub(r"[^\w.-]", "-", method)
    names = (f"{i:03d}-{stem}" for i in count(number))
    return next(name for name in names if name.casefold() not in taken)


def _check_name(name: str, taken: set[str]) -> str:
    """Return the name of a run if it can be the name of a folder on any system and is free."""
    if not is_folder_name(name):
        raise InvalidValueError(
            f"{name!r} cannot name a run, because its folder has the same name: at most 80 characters, none of "
            '<>:"/\\|?*, no dot at the beginning or end.'
        )
    if name.casefold() in taken:
        raise ProjectError(
            f"There is a run called {name!r} already, and runs are never overwritten; choose another name."
        )
    return name


def _write_matrix(path: Path, matrix: FloatArray) -> None:
    with atomic_write(path) as temporary:
        save_file({_TENSORS[path.name]: np.ascontiguousarray(matrix, dtype=np.float32)}, temporary)


def _read_matrix(connection: sqlite3.Connection, info: PartitionInfo, path: Path) -> FloatArray | None:
    """Map a matrix of a run read-only into memory, if it has one."""
    if path.name == PROBABILITIES:
        query = "SELECT has_probabilities FROM partitions WHERE id = ?"
        is_there = connection.execute(query, (info.id,)).fetchone()[0]
    else:
        is_there = path.exists()
    if not is_there:
        return None
    try:
        return map_tensor(path, _TENSORS[path.name])
    except (FileNotFoundError, DamagedFileError) as error:
        raise ProjectError(
            f"The {path.stem} of run {info.name!r} cannot be read from {str(path)!r}: {error}; cluster again."
        ) from error
