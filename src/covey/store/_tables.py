r"""The tables that other programs read: ``assignments.csv``, ``clusters.json``, ``k.json`` and ``skipped.csv``.

All are UTF-8 with ``\n`` at line ends, and are replaced whole. Paths are POSIX, relative to the image root (absolute
if outside); a byte of a file name that is not UTF-8, e.g. 0xff, is written ``\udcff``, and a name with a newline is
quoted. No field is empty where a number belongs, so nothing is read as NaN. Text that a spreadsheet would run as a
formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break, has an apostrophe before it, unless
the tables are written raw; a program that needs the text takes the apostrophe away (`covey._text_files`).

``runs/<name>/assignments.csv``
    ``path,cluster,cluster_name,confidence,second_cluster,group``: one row for each present path of an image of the
    partition, copies too, in natural order of the paths. ``cluster``, ``second_cluster`` and ``group`` are labels, -1
    for none; ``confidence`` lies in [0, 1].
``runs/<name>/clusters.json``
    ``format`` = ``covey-clusters``, ``version`` = 1, ``covey_version``, ``created_at``, ``run``, ``method``,
    ``params``, ``info``, ``naming`` (what named the clusters; empty if nothing did), ``fingerprint``, ``n_images``,
    ``n_clusters``, ``image_root``, and ``clusters``: a list, largest first, of ``id``, ``name``, ``candidates`` (list
    of ``name`` and ``score``, best first; the score is null where the namer gave none), ``size``,
    ``mean_confidence``, ``cohesion``, ``certainty`` (``word``, ``mean`` and ``n_unsure``, null in older runs),
    ``parent`` (its group, -1 for none), ``nearest_cluster`` (-1 for none), ``representatives`` and ``borderline``
    (paths).
``runs/<name>/tree.json``
    ``format`` = ``covey-tree``, ``version`` = 1, ``covey_version``, ``run``, and what
    `covey.hierarchy.describe_tree` gives.
``runs/<name>/k.json``, ``k.json``
    The evidence of a run that chose its number of clusters, and that of the project: ``format`` = ``covey-k``,
    ``version`` = 1, ``covey_version``, and what `covey.selection.NClustersResult.to_dict` gives.
``skipped.csv``
    ``index,filename,error_code,filesize,message``, fastdup's header: one row for each path that was left out.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import covey
from covey._files import atomic_write, parse_json, write_text
from covey._text_files import write_table
from covey.store._database import readable
from covey.store._disk import disk_errors
from covey.store._inventory import natural_key
from covey.store._records import PartitionInfo, read_groups
from covey.types import NOISE, ClusterSummary, ImageFailure, Partition

ASSIGNMENT_COLUMNS = ("path", "cluster", "cluster_name", "confidence", "second_cluster", "group")
_EVIDENCE = "k.json"
_EVIDENCE_FORMAT = "covey-k"
_EVIDENCE_VERSION = 1


def write_assignments(
    path: Path,
    partition: Partition,
    clusters: Sequence[ClusterSummary],
    paths: Mapping[str, Sequence[str]],
    *,
    is_raw: bool = False,
) -> None:
    """Write ``assignments.csv``, whole or not at all; `paths` are those of each image, as `Project.paths` has them."""
    _write_csv(path, ASSIGNMENT_COLUMNS, assignment_rows(partition, clusters, paths), is_raw=is_raw)


def write_clusters(
    path: Path,
    info: PartitionInfo,
    clusters: Iterable[ClusterSummary],
    image_root: Path | None,
    first_path: Callable[[str], str],
) -> None:
    """Write ``clusters.json`` and ``tree.json`` beside it; `first_path` gives the path by which an image is listed."""
    groups, certainty = read_groups(info.info), (info.info.get("certainty") or {}).get("clusters", {})
    content = {
        "format": "covey-clusters",
        "version": 1,
        "covey_version": info.covey_version,
        "created_at": info.created_at,
        "run": info.name,
        "method": info.method,
        "params": info.params,
        "info": {key: value for key, value in info.info.items() if key != "tree"},  # tree.json has it
        "naming": info.naming,
        "fingerprint": info.fingerprint,
        "n_images": info.n_images,
        "n_clusters": info.n_clusters,
        "image_root": readable(str(image_root)),
        "clusters": [
            _describe(cluster, first_path)
            | {"certainty": certainty.get(str(cluster.label)), "parent": groups.get(cluster.label, NOISE)}
            for cluster in clusters
        ],
    }
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False))
    _write_tree(path.parent, info)


def write_skipped(
    path: Path, failures: Iterable[ImageFailure], relative_path: Callable[[Path], str], *, is_raw: bool = False
) -> None:
    """Write ``skipped.csv``, whole or not at all; with its header alone if nothing was left out."""
    rows = (
        (index, readable(relative_path(bad.path)), bad.code, bad.n_bytes, readable(bad.message))
        for index, bad in enumerate(failures)
    )
    _write_csv(path, ("index", "filename", "error_code", "filesize", "message"), rows, is_raw=is_raw)


def write_evidence(folder: Path, evidence: Mapping[str, Any]) -> Path:
    """Write ``k.json`` into a folder, whole or not at all, and return its path."""
    path = folder / _EVIDENCE
    content = {"format": _EVIDENCE_FORMAT, "version": _EVIDENCE_VERSION, "covey_version": covey.__version__, **evidence}
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
    return path


def read_evidence(folder: Path) -> dict[str, Any] | None:
    """Read the ``k.json`` of a folder; None if it has none, or one that this covey cannot read."""
    try:
        content = parse_json((folder / _EVIDENCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if (
        not isinstance(content, dict)
        or content.get("format") != _EVIDENCE_FORMAT
        or content.get("version") != _EVIDENCE_VERSION
    ):
        return None
    return content


def _write_tree(folder: Path, info: PartitionInfo) -> None:
    """Write ``tree.json`` of a run that recorded its tree, whole or not at all."""
    if not info.info.get("tree"):
        return
    head = {"format": "covey-tree", "version": 1, "covey_version": info.covey_version, "run": info.name}
    _write_text(folder / "tree.json", json.dumps({**head, **info.info["tree"]}))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, is_raw: bool) -> None:
    with (
        disk_errors(f"The table {str(path)!r}"),
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        write_table(file, chain([header], rows), is_raw=is_raw)


def _write_text(path: Path, text: str) -> None:
    with disk_errors(f"The table {str(path)!r}"):
        write_text(path, text + "\n")


def assignment_rows(
    partition: Partition, clusters: Iterable[ClusterSummary], paths: Mapping[str, Sequence[str]]
) -> list[tuple[Any, ...]]:
    """Return the rows of ``assignments.csv`` in natural order of the paths."""
    groups = read_groups(partition.info)
    names = {cluster.label: _name(cluster) for cluster in clusters}
    columns = zip(
        partition.ids,
        partition.labels.tolist(),
        partition.confidence.tolist(),
        partition.second_labels.tolist(),
        strict=True,
    )
    rows = [
        (readable(path), label, names.get(label, "Noise"), round(confidence, 6), second, groups.get(label, NOISE))
        for image_id, label, confidence, second in columns
        for path in paths.get(image_id, ())
    ]
    return sorted(rows, key=lambda row: natural_key(row[0].encode()))


def _describe(cluster: ClusterSummary, first_path: Callable[[str], str]) -> dict[str, Any]:
    """Return a cluster as ``clusters.json`` has it."""
    return {
        "id": cluster.label,
        "name": _name(cluster),
        "candidates": _candidates(cluster),
        "size": cluster.size,
        "mean_confidence": round(cluster.mean_confidence, 6),
        "cohesion": round(cluster.cohesion, 6),
        "nearest_cluster": cluster.nearest_label,
        "representatives": [readable(first_path(image_id)) for image_id in cluster.representatives],
        "borderline": [readable(first_path(image_id)) for image_id in cluster.borderline],
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
