"""`covey prune`: forget the images that are gone."""

import dataclasses
from pathlib import Path

import click

from covey._text_files import printable
from covey.cli._console import echo_json
from covey.cli._options import project_argument
from covey.cli._output import echo

N_SHOWN = 20


@click.command()
@project_argument
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--with-runs", is_flag=True, help="Remove the runs that hold images that are gone, and then these too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def prune(project: Path, is_dry_run: bool, with_runs: bool, as_json: bool) -> None:
    """Remove what a project keeps of images that are gone.

    Their paths, features and thumbnails go, as far as the latest scan found them gone and nothing is there now. What a
    run holds stays, unless --with-runs removes the run. Image files are never touched.
    """
    from covey.store import Project

    with Project.open(project) as opened, opened.lock():
        report = opened.upkeep.prune(is_dry_run=is_dry_run, with_runs=with_runs)
    if as_json:
        echo_json({"is_dry_run": is_dry_run, **dataclasses.asdict(report)})
        return
    verb = "would be removed" if is_dry_run else "removed"
    for path in report.paths[:N_SHOWN]:
        echo(f"gone     {printable(path)}")
    if len(report.paths) > N_SHOWN:
        echo(f"gone     and {len(report.paths) - N_SHOWN} more")
    echo(f"{verb}: {len(report.paths)} paths, {len(report.images)} images, {report.n_bytes / 1e6:.1f} MB of thumbnails")
    runs = ", ".join(report.runs)
    if report.kept:
        echo(f"kept: {len(report.kept)} images that are gone but are in {runs}; --with-runs removes these runs too")
    elif report.runs:
        echo(f"{verb}: the runs {runs}")
