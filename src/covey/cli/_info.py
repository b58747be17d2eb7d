"""`covey info` and `covey gallery`: what a project holds, in numbers and as pages."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covey.cli._console import Bars, aside_lines, echo_json, echo_table, ledger_line, shell_path
from covey.cli._options import project_argument
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.store import FeatureSetInfo


@click.command()
@project_argument
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def info(project: Path, as_json: bool) -> None:
    """Say what a project holds.

    Its images, feature sets and partitions.
    """
    from covey.store import Project

    with Project.open(project) as opened:
        summary = opened.summary()
    if as_json:
        echo_json(dataclasses.asdict(summary))
        return
    ledger, sizes, partitions = summary.ledger, summary.feature_sets, summary.partitions
    counts = (ledger.n_found, ledger.n_embedded, ledger.n_embedded, ledger.n_duplicates)
    echo(ledger_line(*counts, ledger.failures, n_missing=ledger.n_missing))
    echo(f"images   {ledger.n_embedded} present, {ledger.n_missing} absent")
    for aside in aside_lines(ledger.notes, ledger.left_out):
        echo(aside)
    echo()
    echo_table(_feature_rows(sizes), ("features", "images", "width", "views", "MB"))
    echo()
    echo_table(
        [
            (
                i.id,
                i.name,
                i.created_at,
                i.method,
                i.n_clusters,
                i.n_images,
                " + ".join(i.backbones) or str(i.info.get("pixels", "unknown")),
            )
            for i in partitions
        ],
        ("run", "name", "created", "method", "clusters", "images", "backbone"),
    )


def _feature_rows(sizes: "Sequence[FeatureSetInfo]") -> list[tuple[Any, ...]]:
    """Return a row for each backbone's features, with the number of sets of views and the bytes of all of them."""
    from covey.extract import viewed_fingerprint

    rows = []
    for item in sizes:
        if viewed_fingerprint(item.fingerprint) is None:
            views = [other for other in sizes if viewed_fingerprint(other.fingerprint) == item.fingerprint]
            n_bytes = item.n_bytes + sum(view.n_bytes for view in views)
            rows.append((item.fingerprint, item.n_images, item.n_features, len(views), f"{n_bytes / 1e6:.1f}"))
    return rows


@click.command()
@project_argument
@click.option(
    "--run",
    "partition_id",
    type=click.IntRange(0, 10**9),
    help="A run as it was computed.  [default: the corrected result]",
)
@click.option("--progress/--no-progress", "has_progress", default=True, help="Draw progress bars.")
def gallery(project: Path, partition_id: int | None, has_progress: bool) -> None:
    """Write the pages of a project again: of its corrected result, or of a run as it was computed."""
    from covey.cli._report import write_pages

    with Bars(is_shown=has_progress) as progress:
        page = write_pages(project, partition_id, progress)
    echo(shell_path(page))
