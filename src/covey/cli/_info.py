"""`covey info` and `covey gallery`: what a project holds, in numbers and as pages."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covey.cli._console import aside_lines, echo_json, echo_table, ledger_line, shell_path
from covey.cli._options import Output, output_options, project_argument, result_options
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.store import FeatureSetInfo, ProjectSummary


@click.command()
@project_argument
@result_options
def info(project: Path, speech: Output) -> None:
    """Say what a project holds.

    Its images, feature sets and partitions.
    """
    from covey.store import Project

    with Project.open(project) as opened:
        summary = opened.summary()
    if speech.as_json:
        echo_json(dataclasses.asdict(summary))
    elif not speech.quiet:
        _echo_summary(summary)


def _echo_summary(summary: "ProjectSummary") -> None:
    """Print the ledger, the feature sets and the partitions."""
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
@output_options
def gallery(project: Path, partition_id: int | None, speech: Output) -> None:
    """Write the pages of a project again: of its corrected result, or of a run as it was computed."""
    from covey.cli._report import write_pages

    with speech.bars() as progress:
        page = write_pages(project, partition_id, progress)
    if speech.as_json:
        echo_json({"partition": partition_id, "gallery": page})
    elif not speech.quiet:
        echo(shell_path(page))
