"""`covey export`: the result, corrected or as a run made it, for people and other programs."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covey.cli._console import echo_json, shell_path
from covey.cli._output import echo
from covey.cli._progress import Bars
from covey.errors import InvalidValueError

if TYPE_CHECKING:
    from covey.exports import ExportOptions, ExportReport

EXIT_LEFT = 1
EXIT_MISSING = 3


@click.command()
@click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--to", metavar="FORMAT", help="csv, jsonl, or folders: the pictures of each cluster in a folder.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to make.  [default: ./PROJECT-FORMAT]")
@click.option(
    "--run",
    "partition_id",
    type=click.IntRange(0, 10**9),
    help="A run as it was computed.  [default: the corrected result]",
)
@click.option(
    "--mode",
    type=click.Choice(["symlink", "copy", "hardlink", "move"]),
    default="symlink",
    show_default=True,
    help="How pictures come into folders; move asks first, and can be undone.",
)
@click.option(
    "--level",
    type=click.Choice(["clusters", "coarse", "both"]),
    default="both",
    show_default=True,
    help="Folders of clusters, of groups, or of clusters within groups.",
)
@click.option("--only", multiple=True, metavar="CLUSTER", help="Only this cluster; may be given again.")
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.0, help="Leave out pictures that are less sure.")
@click.option("--with-hidden", is_flag=True, help="Hidden clusters too.")
@click.option("--with-aside", is_flag=True, help="Pictures in no cluster too: set aside, not sure, or not yet placed.")
@click.option("--copies", type=click.Choice(["first", "all"]), default="first", help="Paths of a picture in folders.")
@click.option(
    "--layout", type=click.Choice(["plain", "classes"]), default="plain", help="classes: _unlabeled for the rest."
)
@click.option("--excel", "is_for_excel", is_flag=True, help="csv for spreadsheets: with a mark, no formulas.")
@click.option("--overwrite", is_flag=True, help="Undo an older export in this folder first.")
@click.option(
    "--undo", "manifest", type=click.Path(path_type=Path), metavar="FILE", help="Undo: OUT/covey-manifest.jsonl."
)
@click.option("--yes", is_flag=True, help="Do not ask before pictures are moved.")
@click.option("--dry-run", is_flag=True, help="Print the plan and touch nothing.")
@click.option("--strict", is_flag=True, help="Exit with 3 if a picture was missing or changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--progress/--no-progress", "has_progress", default=True, help="Draw progress bars.")
def export(
    project: Path | None,
    *,
    to: str | None,
    output: Path | None,
    partition_id: int | None,
    mode: str,
    level: str,
    only: tuple[str, ...],
    min_score: float,
    with_hidden: bool,
    with_aside: bool,
    copies: str,
    layout: str,
    is_for_excel: bool,
    overwrite: bool,
    manifest: Path | None,
    yes: bool,
    dry_run: bool,
    strict: bool,
    as_json: bool,
    has_progress: bool,
) -> None:
    """Write the result of a project into a folder, for people and other programs.

    Pictures are only read, but for --mode move. Nothing is ever replaced. The plan is written first, into
    covey-manifest.jsonl: if the command is killed, the same command goes on, and --undo takes everything back.
    """
    if manifest is not None:
        _undo(manifest, dry_run=dry_run, as_json=as_json)
        return
    if project is None or to is None:
        raise click.UsageError("Give a project and a format with --to, or a manifest with --undo.")
    from covey.exports import ExportOptions, run_export
    from covey.store import Project

    if mode == "move" and not dry_run and not yes:
        click.confirm("The pictures will be moved out of their folders (--undo brings them back). Go on?", abort=True)
    options = ExportOptions(
        mode, level, only, min_score, with_hidden, with_aside, copies == "all", layout == "classes", is_for_excel
    )
    _check_effect(to, options)
    out = output or Path(f"{project.resolve().stem}-{to}")
    with Project.open(project) as opened, Bars(is_shown=has_progress and not as_json) as progress:
        report = run_export(
            opened,
            to,
            out,
            options=options,
            partition_id=partition_id,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )
    _echo(report, dry_run=dry_run, as_json=as_json)
    if strict and (report.counts["missing"] or report.counts["changed"]):
        sys.exit(EXIT_MISSING)


def _check_effect(to: str, options: "ExportOptions") -> None:
    """Refuse options that this format has no use for."""
    plain = type(options)()
    of_folders = {"mode": "--mode", "level": "--level", "all_copies": "--copies", "has_class_layout": "--layout"}
    of_tables = {"is_for_excel": "--excel"}
    for name, option in (of_tables if to == "folders" else of_folders).items():
        if to in ("csv", "jsonl", "folders") and getattr(options, name) != getattr(plain, name):
            raise InvalidValueError(f"{option} has no effect on {to}; leave it out.")
    if to == "jsonl" and options.is_for_excel:
        raise InvalidValueError("--excel has no effect on jsonl; leave it out.")


def _echo(report: "ExportReport", *, dry_run: bool, as_json: bool) -> None:
    """Say what was made, or print the plan."""
    if as_json:
        plan = [dataclasses.asdict(operation) for operation in report.operations] if dry_run else None
        told = {"out": str(report.out), "counts": dict(report.counts), "is_continued": report.is_continued}
        echo_json({**told, "is_known": report.is_known, **({"operations": plan} if dry_run else {})})
        return
    if dry_run:
        for operation in report.operations:
            source = f"  <-  {shell_path(Path(operation.source))}" if operation.source else ""
            echo(f"{operation.op:<8}  {_shown(operation.to)}{_shown(source)}")
        echo("Nothing was touched.")
    elif report.is_known:
        echo("This export is there already, and complete.")
    elif report.is_continued:
        echo("An export that had been interrupted was continued.")
    echo(f"export   {shell_path(report.out)}")
    echo(" ".join(f"{name}={count}" for name, count in report.counts.items()))


def _shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _undo(manifest: Path, *, dry_run: bool, as_json: bool) -> None:
    from covey.exports import undo_export

    report = undo_export(manifest, dry_run=dry_run)
    if as_json:
        echo_json(dataclasses.asdict(report))
    else:
        for name, reason in report.left:
            echo(f"left     {_shown(name)}: {reason}")
        word = "would undo" if dry_run else "undone"
        echo(f"{word}={report.n_undone} left={len(report.left)}")
    if report.left:
        sys.exit(EXIT_LEFT)
