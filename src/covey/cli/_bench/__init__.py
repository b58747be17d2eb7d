"""`covey bench`: run files of experiments, and report what came out."""

from pathlib import Path

import click

from covey.cli._bench._run import run
from covey.cli._bench._show import list_kind, report


@click.group(commands=[run, report, list_kind])
@click.option(
    "--include",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A Python file with data sets of your own, which is run. Repeatable.",
)
@click.pass_context
def bench(context: click.Context, include: tuple[Path, ...]) -> None:
    """Measure methods on labeled sets, and report it without mixing protocols.

    The labels are for the scores: no method sees them, and nothing is chosen by them unless a table says so.
    """
    if include:
        from covey.bench.datasets import DATASETS, include_files

        context.with_resource(include_files(DATASETS, include))
    context.obj = include
