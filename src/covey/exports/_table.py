"""``csv`` and ``jsonl``: one row for each path, and the clusters beside them."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import covey
from covey._text_files import mark_formula, write_table
from covey.exports._operations import Operation
from covey.exports._source import ExportedImage, ExportOptions, ExportPlan, ExportSource, select
from covey.store import natural_key
from covey.types import NOISE

COLUMNS = ("path", "cluster", "cluster_name", "confidence", "second_cluster", "group", "status", "id")
_BOM = "\ufeff"
Row = tuple[tuple[Any, ...], ExportedImage]
"""The cells of a line, and the image that it is about."""


def plan_csv(source: ExportSource, options: ExportOptions) -> ExportPlan:
    """Plan ``assignments.csv`` and ``clusters.json``.

    Parameters
    ----------
    source : ExportSource
        What is exported.
    options : ExportOptions
        What of it; copies are always listed.

    Returns
    -------
    plan : ExportPlan
        Two files.
    """
    rows, plan = _rows(source, options)
    return _with_files(plan, {"assignments.csv": _csv(rows, options), "clusters.json": [_clusters(source, rows)]})


def plan_jsonl(source: ExportSource, options: ExportOptions) -> ExportPlan:
    """Plan ``images.jsonl``, one object for each path with the columns of ``csv``, its size and all its paths.

    Parameters
    ----------
    source : ExportSource
        What is exported.
    options : ExportOptions
        What of it.

    Returns
    -------
    plan : ExportPlan
        One file.
    """
    rows, plan = _rows(source, options)
    return _with_files(plan, {"images.jsonl": _jsonl(rows)})


def _with_files(plan: ExportPlan, contents: dict[str, Iterable[bytes]]) -> ExportPlan:
    operations = [Operation("write", name) for name in contents]
    return ExportPlan(operations, contents, plan.n_missing, plan.n_skipped)


def _rows(source: ExportSource, options: ExportOptions) -> tuple[list[Row], ExportPlan]:
    """Return a row for each present path with its image, in natural order of the paths, and what was left out."""
    rows = []
    n_wanted = n_missing = 0
    for image in select(source, options):
        n_wanted += 1
        n_missing += not image.paths
        cluster = source.clusters.get(image.cluster)
        name, group = (cluster.name, cluster.group) if cluster else ("", "")
        for path in image.paths:
            shown = path.encode("utf-8", "backslashreplace").decode()
            columns = (
                shown,
                image.cluster,
                name,
                round(image.confidence, 6),
                image.second,
                group,
                image.status,
                image.id,
            )
            rows.append((columns, image))
    rows.sort(key=lambda row: natural_key(row[0][0].encode()))
    return rows, ExportPlan([], n_missing=n_missing, n_skipped=len(source.images) - n_wanted)


def _csv(rows: Sequence[Row], options: ExportOptions) -> Iterator[bytes]:
    """Yield the lines of the table; for spreadsheets no cell can be taken for a formula."""
    yield _line(COLUMNS, _BOM if options.is_for_excel else "")
    for columns, _ in rows:
        yield _line([mark_formula(cell) for cell in columns] if options.is_for_excel else columns)


def _line(cells: Sequence[Any], start: str = "") -> bytes:
    buffer = io.StringIO(newline="")
    write_table(buffer, [cells], is_raw=True)
    return (start + buffer.getvalue()).encode("utf-8")


def _jsonl(rows: Sequence[Row]) -> Iterator[bytes]:
    for columns, image in rows:
        record = dict(zip(COLUMNS, columns, strict=True))
        paths = [path.encode("utf-8", "backslashreplace").decode() for path in image.paths]
        record |= {"width": image.width, "height": image.height, "paths": paths}
        yield (json.dumps(record, ensure_ascii=False) + "\n").encode()


def _clusters(source: ExportSource, rows: Sequence[Row]) -> bytes:
    """Return ``clusters.json``: the clusters that have a row, and what a person said of them."""
    sizes: dict[int, int] = {}
    for image_id, cluster in {image.id: image.cluster for _, image in rows}.items():
        sizes[cluster] = sizes.get(cluster, 0) + bool(image_id)
    clusters = [
        {
            "id": cluster.id,
            "name": cluster.name,
            "size": sizes[cluster.id],
            "group": cluster.group,
            "is_reviewed": cluster.is_reviewed,
            "is_named_by_hand": cluster.is_named_by_hand,
            "is_hidden": cluster.is_hidden,
            "merged_from": list(cluster.merged_from),
        }
        for cluster in source.clusters.values()
        if cluster.id in sizes
    ]
    content = {
        "format": "covey-clusters",
        "version": 2,
        "covey_version": covey.__version__,
        "run": source.run,
        "seq": source.seq,
        "n_images": sum(sizes.values()),
        "n_in_no_cluster": sizes.get(NOISE, 0),
        "image_root": str(source.image_root).encode("utf-8", "backslashreplace").decode(),
        "clusters": sorted(clusters, key=lambda cluster: (-sizes[int(str(cluster["id"]))], int(str(cluster["id"])))),
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
