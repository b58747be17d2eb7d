"""`covey edits` and `covey adopt`: the journal of corrections, and a new run in a project that has some."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covey.cli._console import echo_json, echo_table, shell_path
from covey.cli._options import project_argument
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.corrections import AdoptionReport
    from covey.curation import CuratedCluster

EXIT_REFUSED = 1
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
adopt_option = click.option(
    "--adopt",
    "decision",
    type=click.Choice(["auto", "never", "mine", "run"]),
    default="auto",
    show_default=True,
    help="In a project with corrections, take the run in: if nothing conflicts, never, or in any case, keeping what a "
    "hand did or taking what the run says where the two conflict.",
)


@click.group("edits", subcommand_metavar="COMMAND [ARGS]...")
@project_argument
@click.pass_context
def edits(context: click.Context, /, project: Path) -> None:
    """Show the corrections of a project, or carry them to another copy of it."""
    context.obj = project


@edits.command()
@click.option("--clusters", "has_clusters", is_flag=True, help="Show the corrected clusters in place of the edits.")
@_json
@click.pass_obj
def show(project: Path, /, has_clusters: bool, as_json: bool) -> None:
    """Show all edits, oldest first, or the clusters that they amount to."""
    from covey.corrections import open_curation
    from covey.store import Project

    with Project.open(project) as opened:
        curation = open_curation(opened)
        state, sizes, history = curation.state, curation.state.sizes(), curation.history()
        stranded = {edit.seq: edit.why for edit in curation.stranded}
    if has_clusters:
        rows = [
            (known.id, known.title, sizes[known.id], _group(state.groups, known), _marks(known))
            for known in sorted(state.alive, key=lambda cluster: (-sizes[cluster.id], cluster.id))
        ]
        header = ("cluster", "name", "images", "group", "marks")
        if as_json:
            echo_json([dict(zip(header, row, strict=True)) for row in rows])
        else:
            echo_table(rows, header)
        return
    told = [
        {
            "seq": edit.seq,
            "at": edit.at,
            "author": edit.author,
            "op": edit.op,
            "summary": line,
            "state": "undone" if is_undone else "left out" if edit.seq in stranded else "",
        }
        for edit, line, is_undone in history
    ]
    if as_json:
        echo_json(told)
        return
    if not told:
        echo("There are no edits yet.")
        return
    echo_table([(e["seq"], e["at"], e["author"], e["summary"], e["state"]) for e in told], _HEADER)
    for seq, why in stranded.items():
        echo(f"Edit {seq} is left out: {why}")


_HEADER = ("edit", "at", "by", "what", "")


def _group(groups: Mapping[int, str], cluster: "CuratedCluster") -> str:
    return "" if cluster.group is None else groups[cluster.group]


def _marks(cluster: "CuratedCluster") -> str:
    marks = {"named": cluster.is_named_by_hand, "reviewed": cluster.is_reviewed, "hidden": cluster.is_hidden}
    return ", ".join(name for name, is_set in marks.items() if is_set)


@edits.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export(project: Path, /, file: Path) -> None:
    """Write all edits to FILE, one JSON object a line, images by their sha256."""
    from covey.store import Journal, Project

    with Project.open(project) as opened:
        journal = Journal(opened)
        journal.write_mirror(file)
        echo(f"{len(journal.read())} edits written to {shell_path(file)}")


@edits.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_json
@click.pass_obj
def apply(project: Path, /, file: Path, as_json: bool) -> None:
    """Make the edits of FILE in this copy of the project; those that it has already are skipped."""
    from covey.corrections import open_curation, replay_edits
    from covey.store import Project

    with Project.open(project) as opened:
        report = replay_edits(open_curation(opened), file)
    if as_json:
        echo_json(dataclasses.asdict(report))
    else:
        for number, why in report.refused:
            echo(f"edit {number} of the file was left out: {why}")
        echo(
            f"applied={report.n_applied} known={report.n_known} refused={len(report.refused)} "
            f"missing_images={report.n_missing}"
        )
    if report.refused:
        sys.exit(EXIT_REFUSED)


@click.command()
@project_argument
@click.option("--run", "partition_id", type=click.IntRange(0, 10**9), help="The run to take in.  [default: the latest]")
@adopt_option
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@_json
def adopt(project: Path, partition_id: int | None, decision: str, dry_run: bool, as_json: bool) -> None:
    """Let a new run take the place of the one that is corrected, and keep the corrections.

    Clusters of the run that are known go on under their number and name. What a hand did stays: images that were moved
    or confirmed, names, merged and split clusters. Where the run disagrees, it is listed and nothing changes, unless
    --adopt decides. It can be undone like any edit. In a project without corrections, they start from this run.
    """
    from covey.corrections import adopt_run, open_curation
    from covey.store import Project

    with Project.open(project) as opened:
        chosen = opened.partition_info(partition_id)
        report = adopt_run(opened, chosen.id, decision, dry_run=dry_run)
        if report is None and not dry_run:
            open_curation(opened, author="cli").start(chosen.id)
    if report is None:
        echo(f"There are no corrections yet; they start from run {chosen.name}{' then' if dry_run else ' now'}.")
        return
    if as_json:
        echo_json(dataclasses.asdict(report))
    else:
        rows = [
            (
                row.cluster,
                "-" if row.label is None else row.label,
                row.kind,
                row.n_old,
                row.n_new,
                row.n_common,
                row.why,
            )
            for row in report.rows
        ]
        echo_table(rows, ("cluster", "run's", "kind", "before", "run", "both", "why"))
        echo()
        for line in adoption_lines(report, project, dry_run=dry_run):
            echo(line)
    if report.conflicts and report.seq is None and not dry_run:
        sys.exit(EXIT_REFUSED)


def adoption_lines(report: "AdoptionReport", project: Path, *, dry_run: bool = False) -> list[str]:
    """Return what is said of a run in a project that has corrections."""
    conflicts = [
        f"conflict {conflict.kind} in cluster {conflict.cluster}: {conflict.why}. Mine: {conflict.mine}. "
        f"Run: {conflict.run}."
        for conflict in report.conflicts
    ]
    count = report.counts.get
    n_kept = count("same", 0) + count("probably", 0) + count("kept", 0)
    words = f"{n_kept} ids, {count('new', 0)} new, {count('gone', 0)} gone; {report.n_pinned} placed by hand stay"
    if report.seq is not None:
        return [*conflicts, f"adopted  run {report.partition} as edit {report.seq}: kept {words}"]
    where = f"covey adopt {shell_path(project)} --run {report.partition}"
    if dry_run:
        return [*conflicts, f"plan     run {report.partition} would keep {words}; nothing was changed"]
    if not conflicts:
        return [f"corrections start from the earlier run still; to take this one in: {where}"]
    said = f"not adopted: {len(conflicts)} conflicts, so nothing was changed. Decide with {where} --adopt mine, or run"
    return [*conflicts, said]
