"""`covey bench`: run files of experiments, and report what came out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from covey.cli import _console

_PATH = click.Path(path_type=Path)
_OUTPUT = Path("bench-results")


@click.group()
def bench() -> None:
    """Measure methods on labelled sets, and report it without mixing protocols.

    The labels are for the scores: no method sees them, and nothing is chosen by them unless a table says so.
    """


@bench.command("run")
@click.argument("files", metavar="FILES...", nargs=-1, required=True)
@click.option("-o", "--output", type=_PATH, default=_OUTPUT, show_default=True, help="Folder of the results.")
@click.option(
    "--data",
    type=_PATH,
    default=lambda: Path(os.environ.get("COVEY_DATA", "data")),
    help="Folder in which data sets have their usual places.  [default: $COVEY_DATA, or ./data]",
)
@click.option(
    "--jobs", "n_jobs", type=click.IntRange(1), default=1, show_default=True, help="Seeds at once; timings suffer."
)
@click.option("--retry-failed", is_flag=True, help="Run seeds again that failed or ran out of time.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and the last line.")
def run(files: tuple[str, ...], output: Path, data: Path, **options: Any) -> None:
    """Run what FILES ask for and is not finished yet.

    FILES are TOML files, or names of those that come with covey; see: covey bench list. Each finished seed is one line
    of results.jsonl in the output folder. Run the same command again after an interruption: it goes on where it was.
    """
    from covey.bench import find_file, read_experiments, run_experiments

    read = [read_experiments(find_file(file)) for file in files]
    if not options.pop("quiet"):
        options |= {"told": _echo_line, "announce": lambda words: click.echo(words, err=True)}
    report = run_experiments(read, output, data=data, **options)
    for name, reason in report.missing.items():
        click.echo(f"left out {name}: {reason}", err=True)
    for failure in report.failures:
        click.echo(f"failed {failure}", err=True)
    click.echo(
        f"done={report.n_done} already={report.n_reused} failed={len(report.failures)} "
        f"sets_missing={len(report.missing)} seconds={report.wall_s:.0f}"
    )


def _echo_line(line: Mapping[str, Any]) -> None:
    """Print one finished seed."""
    from covey.bench import Method

    what = f"{line['rows']['dataset']}  {Method(**line['method']).title}  fit={line['fit']}  seed={line['seed']}"
    if line["status"] != "ok":
        click.echo(f"{what}  {line['status']}: {line['error']}")
        return
    part = "test" if "test" in line["scores"] else line["fit"]
    click.echo(f"{what}  ACC {100 * line['scores'][part]['acc']:.1f} ({part})  {line['cost']['wall_s']:.1f} s")


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=_PATH, help="Where to write.  [default: report in FOLDER]")
def report(folder: Path, output: Path | None) -> None:
    """Write tables, a page with plots and a page for each paper from the results in FOLDER."""
    from covey.bench.report import write_report

    for path in write_report(folder, output):
        click.echo(_console.shell_path(path))


@bench.command("list")
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
