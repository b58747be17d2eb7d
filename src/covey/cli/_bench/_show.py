"""`covey bench list` and `covey bench report`: what files of experiments can name, and what came out."""

from pathlib import Path
from typing import Any

import click

from covey.cli import _console
from covey.cli._output import echo


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write.  [default: report in FOLDER]")
def report(folder: Path, output: Path | None) -> None:
    """Write tables, a page with plots and a page for each paper from the results in FOLDER."""
    from covey.bench.report import write_report

    for path in write_report(folder, output):
        echo(_console.shell_path(path))


@click.command("list")
@click.argument("kind", type=click.Choice(["experiments", "datasets", "variants", "protocols"]), default="experiments")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def list_kind(kind: str, as_json: bool) -> None:
    """List the experiments that come with covey, or the data sets, variants or protocols that files can name."""
    rows = _rows(kind)
    if as_json:
        _console.echo_json(rows)
    else:
        _console.echo_table([list(row.values()) for row in rows], tuple(rows[0]))


def _rows(kind: str) -> list[dict[str, Any]]:
    from covey import bench as library
    from covey.bench.datasets import DATASETS, VARIANTS

    if kind == "datasets":
        keys = ("name", "place", "n_images", "n_classes", "license", "layout")
        return [{key: getattr(spec, key) or "" for key in keys} for spec in DATASETS.values()]
    if kind == "variants":
        return [{"name": name} for name in VARIANTS]
    if kind == "protocols":
        return [{"name": protocol.name, "what": protocol.what} for protocol in library.PROTOCOLS.values()]
    files = {name: library.read_experiments(path) for name, path in library.packaged_experiments().items()}
    return [{"name": name, "experiments": len(file.experiments), "title": file.title} for name, file in files.items()]
