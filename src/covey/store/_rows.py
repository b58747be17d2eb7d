"""The door through which rows of partitions and clusters are read: a project may come from anywhere.

A row becomes a record only if each of its values is of its kind, names stay within the project's folder, and what
belongs together fits. Everything else is a `ProjectError` that says what was found.
"""

import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from covey.errors import ProjectError
from covey.store._database import ID, read_json, read_rows, refuse_damage
from covey.store._records import PartitionInfo
from covey.types import NOISE, ClusterName, ClusterSummary

_NAME: Final = re.compile(r'(?!\.)[^\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]{1,80}')
_FINGERPRINT: Final = re.compile(r"[\w-][\w.-]*", re.ASCII)
_INFO_COLUMNS: Final = (
    "id, name, created_at, method, params, info, fingerprint, n_images, n_clusters, covey_version, naming"
)
_INFO_KINDS: Final = (int, str, str, str, str, str, str, int, int, str, str)
_CLUSTER_COLUMNS: Final = (
    "label, name, name_score, runners_up, runner_up_scores, size, mean_confidence, cohesion, nearest_label, "
    "representatives, borderline"
)
_CLUSTER_KINDS: Final = (int, str, float, str, str, int, float, float, int, str, str)


def is_folder_name(name: str) -> bool:
    """Tell whether a run's name can be the name of a folder on any system, directly below the one for all runs."""
    return _NAME.fullmatch(name) is not None and name[-1] not in " ."


def is_fingerprint(text: str) -> bool:
    """Tell whether a feature set's fingerprint can be the name of a folder, directly below the one for all sets."""
    return _FINGERPRINT.fullmatch(text) is not None


def check_inside(root: Path, folder: Path) -> Path:
    """Return a folder of a project, if no symbolic link leads from it to somewhere else.

    Parameters
    ----------
    root : Path
        The project.
    folder : Path
        Below it; it need not exist.

    Raises
    ------
    ProjectError
        If writing there would write outside the project.
    """
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ProjectError(
            f"{str(folder)!r} leads out of its project, to {str(folder.resolve())!r}, so nothing is written there; "
            "replace the symbolic link by a folder."
        )
    return folder


def read_partition_rows(
    connection: sqlite3.Connection, rest: str = "ORDER BY id", parameters: Sequence[Any] = ()
) -> Iterator[PartitionInfo]:
    """Yield the records of partitions, checked; `rest` is what follows FROM."""
    query = f"SELECT {_INFO_COLUMNS} FROM partitions {rest}"  # noqa: S608 - words of this package alone
    for row in read_rows(connection, query, parameters, kinds=_INFO_KINDS):
        number, name, created_at, method, params, info, fingerprint, *rest_of_row, naming = row
        if not is_folder_name(name):
            refuse_damage(connection, f"run {number} has the name {name!r}, which cannot be a folder's")
        columns: list[Any] = [number, name, created_at, method, read_json(connection, params, dict)]
        columns += [_check_backbone(connection, read_json(connection, info, dict)), fingerprint, *rest_of_row]
        columns.append(read_json(connection, naming, dict))
        yield PartitionInfo(*columns)


def read_cluster_rows(connection: sqlite3.Connection, partition_id: int) -> list[ClusterSummary]:
    """Return the clusters of a partition by size, largest first, checked."""
    query = f"SELECT {_CLUSTER_COLUMNS} FROM clusters WHERE partition = ? ORDER BY size DESC, label"  # noqa: S608 - words of this package alone
    rows = list(read_rows(connection, query, (partition_id,), kinds=_CLUSTER_KINDS))
    return [_summary(connection, row) for row in rows]


def _summary(connection: sqlite3.Connection, row: Sequence[Any]) -> ClusterSummary:
    """Return the record of a cluster."""
    label, name, score, runners_up, scores, size, mean_confidence, cohesion, nearest_label, *members = row
    if min(label, nearest_label) < NOISE or size < 0 or not all(map(math.isfinite, (score, mean_confidence, cohesion))):
        refuse_damage(connection, f"cluster {label} has the size {size} and the scores {(score, mean_confidence)}")
    words = _read_list(connection, runners_up, (str,))
    values = _read_list(connection, scores, (int, float, type(None)))
    representatives, borderline = (_read_list(connection, text, (str,)) for text in members)
    return ClusterSummary(
        label=label,
        name=ClusterName(label, name, score, words, values),
        size=size,
        mean_confidence=mean_confidence,
        cohesion=cohesion,
        nearest_label=nearest_label,
        representatives=representatives,
        borderline=borderline,
    )


def read_assignment_rows(
    connection: sqlite3.Connection, partition_id: int
) -> tuple[list[int], list[str], list[int], list[float], list[int]]:
    """Return position, image id, label, confidence and second label of each row of a partition, checked."""
    query = (
        "SELECT a.position, images.id, a.label, a.confidence, a.second_label FROM assignments AS a "
        "JOIN images ON images.key = a.image WHERE a.partition = ?"
    )
    rows = list(read_rows(connection, query, (partition_id,), kinds=(int, ID, int, float, int)))
    positions, ids, labels, confidence, seconds = (
        (list(column) for column in zip(*rows, strict=True))
        if rows
        else (
            [],
            [],
            [],
            [],
            [],
        )
    )
    if sorted(positions) != list(range(len(positions))):
        refuse_damage(connection, f"the {len(positions)} rows of run {partition_id} are not numbered one by one")
    return positions, ids, labels, confidence, seconds


def _read_list(connection: sqlite3.Connection, text: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """Parse a JSON list whose entries are of these kinds."""
    values = read_json(connection, text, list)
    wrong = [value for value in values if not isinstance(value, kinds)]
    if wrong:
        refuse_damage(connection, f"a list holds {wrong[0]!r}, which is of another kind than it must have")
    return tuple(values)


def _check_backbone(connection: sqlite3.Connection, info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a run recorded, if its backbones are recorded as covey records them."""
    backbone = info.get("backbone") or []
    entries = backbone if isinstance(backbone, list) else [backbone]
    if not all(isinstance(entry, str | dict) for entry in entries):
        refuse_damage(connection, f"a run has the backbone {backbone!r}")
    return info
