"""`covey bench run`: experiments, seed by seed."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from covey.cli._output import echo

_PATH = click.Path(path_type=Path)
_OUTPUT = Path("bench-results")


@click.command("run")
@click.argument("files", metavar="FILES...", nargs=-1, required=True)
@click.option("-o", "--output", type=_PATH, default=_OUTPUT, show_default=True, help="Folder of the results.")
@click.option(
    "--data",
    type=_PATH,
    default=lambda: Path(os.environ.get("COVEY_DATA", "data")),
    help="Folder in which data sets have their usual places.  [default: $COVEY_DATA, or ./data]",
)
@click.option(
    "--jobs",
    "n_jobs",
    type=click.IntRange(1, 10**9),
    default=1,
    show_default=True,
    help="Seeds at once, which share the processors unless OMP_NUM_THREADS is set; timings suffer.",
)
@click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Only experiments whose 'SET / METHOD' matches a pattern as in a shell. Repeatable.",
)
@click.option("--seeds", "n_seeds", type=click.IntRange(1, 10**9), help="At most so many seeds of each experiment.")
@click.option(
    "--retry-failed", is_flag=True, help="Run seeds again that failed or ran out of time, and what was skipped for it."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and the last line.")
@click.pass_obj
def run(
    include: tuple[Path, ...],
    /,
    files: tuple[str, ...],
    *,
    output: Path,
    data: Path,
    n_jobs: int,
    only: tuple[str, ...],
    n_seeds: int | None,
    retry_failed: bool,
    quiet: bool,
) -> None:
    """Run what FILES ask for and is not finished yet.

    FILES are TOML files, or names of those that come with covey; see: covey bench list. Each finished seed is one line
    of results.jsonl in the output folder. Run the same command again after an interruption: it goes on where it was.
    Where a seed runs out of time, the further seeds of the same method on the same rows are not tried.
    """
    from covey.bench import find_file, narrow_files, read_experiments, run_experiments

    read = [read_experiments(find_file(file)) for file in files]
    read = narrow_files(read, only=only, n_seeds=n_seeds)
    report = run_experiments(
        read,
        output,
        data=data,
        include=include,
        n_jobs=n_jobs,
        retry_failed=retry_failed,
        told=None if quiet else _echo_line,
        announce=None if quiet else partial(echo, err=True),
    )
    for name, reason in report.missing.items():
        echo(f"left out {name}: {reason}", err=True)
    for failure in report.failures:
        echo(f"failed {failure}", err=True)
    echo(
        f"done={report.n_done} already={report.n_reused} failed={len(report.failures)} skipped={report.n_skipped} "
        f"sets_missing={len(report.missing)} seconds={report.wall_s:.0f}"
    )


def _echo_line(line: Mapping[str, Any]) -> None:
    """Print one finished seed."""
    from covey.bench import Method, RowsSpec

    what = f"{RowsSpec(**line['rows']).title}  {Method(**line['method']).title}  fit={line['fit']}  seed={line['seed']}"
    if line["status"] != "ok":
        echo(f"{what}  {line['status']}: {line['error']}")
        return
    part = "test" if "test" in line["scores"] else line["fit"]
    echo(f"{what}  ACC {100 * line['scores'][part]['acc']:.1f} ({part})  {line['cost']['wall_s']:.1f} s")
