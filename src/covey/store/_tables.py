r"""The tables that other programs read: ``assignments.csv``, ``clusters.json``, ``k.json`` and ``skipped.csv``.

All are UTF-8 with ``\n`` at line ends, and are replaced whole. Paths are POSIX, relative to the image root (absolute
if outside); a byte of a file name that is no UTF-8, 0xff say, is written ``\udcff``, and a name with a newline stands
within quotes. No field is empty where a number belongs, so nothing reads as NaN.

``runs/<name>/assignments.csv``
    ``path,cluster,cluster_name,confidence,second_cluster``: one row for each present path of an image of the
    partition, copies too, in natural order of the paths. ``cluster`` and ``second_cluster`` are labels, -1 for
    none; ``confidence`` lies in [0, 1].
``runs/<name>/clusters.json``
    ``format`` = ``covey-clusters``, ``version`` = 1, ``covey_version``, ``created_at``, ``run``, ``method``,
    ``params``, ``info``, ``naming`` (what named the clusters; empty if nothing did), ``fingerprint``, ``n_images``,
    ``n_clusters``, ``image_root``, and ``clusters``: a list, largest first, of ``id``, ``name``, ``candidates`` (list
    of ``name`` and ``score``, best first; the score is null where the namer gave none), ``size``,
    ``mean_confidence``, ``cohesion``, ``nearest_cluster`` (-1 for none), ``representatives`` and ``borderline``
    (paths).
``runs/<name>/k.json``, ``k.json``
    The evidence of a run that chose its number of clusters, and that of the project: ``format`` = ``covey-k``,
    ``version`` = 1, ``covey_version``, and what `covey.selection.NClustersResult.to_dict` gives.
``skipped.csv``
    ``index,filename,error_code,filesize,message``, fastdup's header: one row for each path that was left out.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import covey
from covey.store._atomic import disk_errors, written_whole
from covey.store._database import readable
from covey.store._inventory import natural_key
from covey.store._project import Project
from covey.store._records import TablePaths
from covey.types import NOISE, ClusterSummary

_EVIDENCE = "k.json"
_EVIDENCE_FORMAT = "covey-k"
_EVIDENCE_VERSION = 1


def write_tables(project: Project, partition_id: int) -> TablePaths:
    """Write the tables of a partition, each whole or not at all.

    Parameters
    ----------
    project : Project
        Open and locked.
    partition_id : int
        Which partition.

    Returns
    -------
    paths : TablePaths
        The files; earlier ones of the same run are replaced.

    Raises
    ------
    ProjectError
        If the partition is unknown or the disk refuses.
    """
    folder = project.run_folder(partition_id)
    assignments, clusters = folder / "assignments.csv", folder / "clusters.json"
    paths = project.paths()
    header = ("path", "cluster", "cluster_name", "confidence", "second_cluster")
    _write_csv(assignments, header, _assignment_rows(project, partition_id, paths))
    with disk_errors(f"The table {str(clusters)!r}"), written_whole(clusters) as temporary:
        content = _describe(project, partition_id, paths)
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return TablePaths(assignments, clusters, write_skipped(project))


def write_evidence(folder: Path, evidence: Mapping[str, Any]) -> Path:
    """Write the evidence into a folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        The project's, or that of a run; an earlier file is replaced.
    evidence : mapping
        JSON-compatible: what `covey.selection.NClustersResult.to_dict` gives, and whatever the caller adds.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    ProjectError
        If the disk refuses.
    """
    path = folder / _EVIDENCE
    content = {"format": _EVIDENCE_FORMAT, "version": _EVIDENCE_VERSION, "covey_version": covey.__version__, **evidence}
    with disk_errors(f"The table {str(path)!r}"), written_whole(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def read_evidence(folder: Path) -> dict[str, Any] | None:
    """Read the evidence of a folder.

    Parameters
    ----------
    folder : Path
        The project's, or that of a run.

    Returns
    -------
    evidence : dict or None
        What was written; None if there is none, or a file that this covey did not write or cannot read.
    """
    try:
        content = json.loads((folder / _EVIDENCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if (
        not isinstance(content, dict)
        or content.get("format") != _EVIDENCE_FORMAT
        or content.get("version") != _EVIDENCE_VERSION
    ):
        return None
    return content


def write_skipped(project: Project) -> Path:
    """Write ``skipped.csv``, whole or not at all; with its header alone if nothing was left out.

    Parameters
    ----------
    project : Project
        Open and locked.

    Returns
    -------
    path : Path
        The file; an earlier one is replaced.

    Raises
    ------
    ProjectError
        If the disk refuses.
    """
    path = project.root / "skipped.csv"
    rows = (
        (index, readable(project.relative_path(bad.path)), bad.code, bad.n_bytes, readable(bad.message))
        for index, bad in enumerate(project.failures())
    )
    _write_csv(path, ("index", "filename", "error_code", "filesize", "message"), rows)
    return path


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        disk_errors(f"The table {str(path)!r}"),
        written_whole(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _assignment_rows(project: Project, partition_id: int, paths: Mapping[str, Sequence[str]]) -> list[tuple[Any, ...]]:
    """Return the rows of ``assignments.csv`` in natural order of the paths."""
    names = {cluster.label: _name(cluster) for cluster in project.clusters(partition_id)}
    partition = project.partition(partition_id)
    columns = zip(
        partition.ids,
        partition.labels.tolist(),
        partition.confidence.tolist(),
        partition.second_labels.tolist(),
        strict=True,
    )
    rows = [
        (readable(path), label, names.get(label, "Noise"), round(confidence, 6), second)
        for image_id, label, confidence, second in columns
        for path in paths.get(image_id, ())
    ]
    return sorted(rows, key=lambda row: natural_key(row[0].encode()))


def _describe(project: Project, partition_id: int, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the content of ``clusters.json``."""
    info = project.partition_info(partition_id)

    def show(ids: Iterable[str]) -> list[str]:
        return [
            readable(paths[image_id][0] if image_id in paths else project.paths_of(image_id)[0]) for image_id in ids
        ]

    return {
        "format": "covey-clusters",
        "version": 1,
        "covey_version": info.covey_version,
        "created_at": info.created_at,
        "run": info.name,
        "method": info.method,
        "params": info.params,
        "info": info.info,
        "naming": info.naming,
        "fingerprint": info.fingerprint,
        "n_images": info.n_images,
        "n_clusters": info.n_clusters,
        "image_root": readable(str(project.image_root)),
        "clusters": [
            {
                "id": cluster.label,
                "name": _name(cluster),
                "candidates": _candidates(cluster),
                "size": cluster.size,
                "mean_confidence": round(cluster.mean_confidence, 6),
                "cohesion": round(cluster.cohesion, 6),
                "nearest_cluster": cluster.nearest_label,
                "representatives": show(cluster.representatives),
                "borderline": show(cluster.borderline),
            }
            for cluster in project.clusters(partition_id)
        ],
    }


def _name(cluster: ClusterSummary) -> str:
    """Return a cluster's words; one without any is called by its label."""
    return cluster.name.name or ("Noise" if cluster.label == NOISE else f"Cluster {cluster.label}")


def _candidates(cluster: ClusterSummary) -> list[dict[str, Any]]:
    runners_up, scores = cluster.name.runners_up, cluster.name.runner_up_scores
    others = [
        {"name": name, "score": None if score is None else round(score, 6)}
        for name, score in zip_longest(runners_up, scores[: len(runners_up)])
    ]
    return [{"name": _name(cluster), "score": round(cluster.name.score, 6)}, *others]
