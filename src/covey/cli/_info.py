"""`covey info`: what a project holds."""

import dataclasses
from pathlib import Path

import click

from covey.cli._console import echo_json, echo_table, ledger_line
from covey.cli._options import project_argument


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
    click.echo(ledger_line(ledger.n_found, ledger.n_embedded, ledger.n_embedded, ledger.n_duplicates, ledger.failures))
    click.echo()
    echo_table(
        [(item.fingerprint[:12], item.n_images, item.n_features, f"{item.n_bytes / 1e6:.1f}") for item in sizes],
        ("features", "images", "width", "MB"),
    )
    click.echo()
    echo_table(
        [(item.id, item.name, item.created_at, item.method, item.n_clusters, item.n_images) for item in partitions],
        ("run", "name", "created", "method", "clusters", "images"),
    )
