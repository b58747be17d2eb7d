"""`covey bench report`: tables and pages from a folder of results."""

from pathlib import Path

import click

from covey.cli import _console


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write.  [default: report in FOLDER]")
def report(folder: Path, output: Path | None) -> None:
    """Write tables, a page with plots and a page for each paper from the results in FOLDER."""
    from covey.bench.report import write_report

    for path in write_report(folder, output):
        click.echo(_console.shell_path(path))
