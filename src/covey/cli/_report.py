"""What the main command says: the plan of a dry run, and the result of a real one."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covey.cli._console import aside_lines, echo_json, echo_table, ledger_line, shell_path, views_line
from covey.cli._history import adoption_lines
from covey.cli._output import echo
from covey.cli._progress import Bars
from covey.corrections import adopt_run, find_corrected
from covey.gallery import write_gallery
from covey.images import scan_images
from covey.pipeline import NamingReport, RunPlan, RunResult, check_n_clusters
from covey.selection import NClustersResult
from covey.store import Project

N_CLUSTERS_SHOWN = 20


def write_pages(root: Path, partition_id: int | None, progress: Bars) -> Path:
    """Write the gallery of a run into its project, or of the corrected result; return the first page."""
    with Project.open(root) as project, project.lock():
        corrected = find_corrected(project) if partition_id is None else None
        run = project.partition_info(partition_id) if corrected is None else corrected.info
        return write_gallery(project, run.id, root / "gallery", corrected=corrected, progress=progress)


def adopt_into(root: Path, partition_id: int, decision: str) -> list[str]:
    """Let the corrections of a project take a new run in, and return what is to be said of it; nothing without any."""
    with Project.open(root) as project:
        report = adopt_run(project, partition_id, decision)
    return [] if report is None else adoption_lines(report, root)


def finish_run(result: RunResult) -> None:
    """Record that all of a run is written, its pages too; until then the same command goes on with it."""
    with Project.open(result.project) as project, project.lock():
        project.upkeep.finish_run(result.partition_id)


def echo_plan(plan: RunPlan, *, as_json: bool) -> None:
    """Scan without writing anything and say what a run would do."""
    report = scan_images(plan.sources, **plan.scan_options)
    check_n_clusters(plan.n_clusters, len(report.records))
    skipped = Counter(failure.code for failure in report.failures)
    facts = {
        "project": str(plan.output),
        "project_exists": plan.output.exists(),
        "images": len(report.records),
        "duplicates": len(report.files) - len(report.records),
        "skipped": dict(skipped),
        "other_files": report.n_other,
        "left_out": report.left_out(),
        "backbone": " + ".join(plan.backbones),
        "n_views": plan.n_views,
        "method": plan.spec.name,
        "params": dict(plan.params),
        "n_clusters": plan.granularity if plan.n_clusters is None else plan.n_clusters,
    }
    if as_json:
        echo_json(facts)
        return
    echo("Nothing was written. A run would")
    verb = "update" if facts["project_exists"] else "make"
    echo(f"  {verb} the project  {shell_path(plan.output)}")
    if facts["backbone"]:
        echo(f"  embed             {facts['images']} images with {facts['backbone']}")
    else:
        echo(f"  pack              {facts['images']} images of {plan.size} x {plan.size} pixels")
    if facts["n_views"]:
        echo(f"  embed             {facts['n_views']} views of each image too")
    echo(f"  cluster           with {facts['method']}, k = {facts['n_clusters']}")
    left_out = ", ".join(f"{count} {code}" for code, count in sorted(skipped.items())) or "nothing"
    echo(f"  leave out         {facts['duplicates']} duplicates; {left_out}")
    for aside in aside_lines({}, report.left_out()):
        echo(f"  {aside}")


def echo_run(result: RunResult, page: Path | None) -> None:
    """Say what a run made: the clusters, where to look, and the ledger."""
    with Project.open(result.project) as project:
        clusters = project.clusters(result.partition_id)
        certainty = (project.partition_info(result.partition_id).info.get("certainty") or {}).get("clusters", {})
    if result.selection is not None:
        echo(result.selection.why + "\n")
    rows = []
    for c in clusters[:N_CLUSTERS_SHOWN]:
        said = certainty.get(str(c.label), {})
        rows.append((c.label, c.name.name, c.size, said.get("word", ""), said.get("n_unsure", "")))
    echo_table(rows, ("cluster", "name", "images", "clear?", "unsure"))
    if len(clusters) > N_CLUSTERS_SHOWN:
        echo(f"... and {len(clusters) - N_CLUSTERS_SHOWN} smaller ones")
    echo()
    for line in summary_lines(result):
        echo(line)
    for table in result.tables:
        echo(f"table    {shell_path(table)}")
    if page is not None:
        echo(f"gallery  {shell_path(page)}")
    echo(_ledger(result))


def summary_lines(result: RunResult) -> list[str]:
    """Return what a run found, what it was made from, and what was left out, a line each."""
    groups = f" in {result.n_groups} groups" if result.n_groups else ""
    lines = [f"clusters {result.n_clusters}{groups}", *level_lines(result.selection, result.n_clusters)]
    if result.naming is not None:
        lines.append(naming_line(result.naming))
    elif result.naming_reason:
        lines.append(f"names    none: {result.naming_reason}")
    lines.append(f"features {' + '.join(result.backbones) or 'of the network that was trained'}")
    if result.n_views:
        lines.append(views_line(result.n_views, result.extract.n_views_computed, result.extract.n_views_reused))
    if result.ledger.failures:
        lines.append(skipped_line(result.ledger.failures))
    return lines + aside_lines(result.ledger.notes, result.ledger.left_out)


def level_lines(selection: NClustersResult | None, n_clusters: int) -> list[str]:
    """Return the line that says which other numbers of clusters the evidence supports; none without such a number."""
    others = [level for level in selection.granularities if level.n_clusters != n_clusters] if selection else []
    if not others:
        return []
    said = " or ".join(f"-k {level.name} ({level.n_clusters} clusters)" for level in others)
    return [f"levels   also {said}; -k N for any other number"]


def skipped_line(failures: Mapping[str, int]) -> str:
    """Return the line that says how many files were skipped and why."""
    total = sum(failures.values())
    reasons = (f"{n:,} {code.removeprefix('ERROR_').replace('_', ' ').lower()}" for code, n in sorted(failures.items()))
    return f"skipped  {total:,} {'file' if total == 1 else 'files'}: {', '.join(reasons)}; skipped.csv names each"


def echo_times(seconds: Mapping[str, float], total: float) -> None:
    """Print the wall time of each stage of a run, and of what comes after the stages: the pages."""
    rest = {"everything else": max(0.0, total - sum(seconds.values()))}
    for stage, value in {**seconds, **rest}.items():
        echo(f"time     {stage} {value:.1f} s")


def run_as_dict(result: RunResult, page: Path | None) -> dict[str, Any]:
    """Return a run's result as JSON-compatible data."""
    with Project.open(result.project) as project:
        clusters = project.clusters(result.partition_id)
    return {
        "project": str(result.project),
        "partition": result.partition_id,
        "backbones": list(result.backbones),
        "n_views": result.n_views,
        "n_clusters": result.n_clusters,
        "n_groups": result.n_groups,
        "clusters": [{"cluster": c.label, "name": c.name.name, "images": c.size} for c in clusters],
        "naming": dataclasses.asdict(result.naming) if result.naming else None,
        "naming_reason": result.naming_reason,
        "selection": result.selection.to_dict() if result.selection else None,
        "ledger": {**dataclasses.asdict(result.ledger), "n_computed": result.extract.n_computed},
        "gallery": str(page) if page else None,
        "tables": [str(table) for table in result.tables],
        "seconds": dict(result.seconds),
    }


def naming_line(report: NamingReport) -> str:
    """Return the line that says what named the clusters, and how far to trust it."""
    said = f"names    {report.n_named} clusters named, {report.n_unnamed} unnamed, by {report.source}"
    if report.is_bridge:
        said += "; weaker than a model trained on pictures with their texts"
    said += f"; {report.n_words} words of {report.vocabulary}"
    return f"{said}\n         {report.note}" if report.note else said


def _ledger(result: RunResult) -> str:
    ledger = result.ledger
    return ledger_line(
        ledger.n_found,
        result.extract.n_computed,
        ledger.n_embedded,
        ledger.n_duplicates,
        ledger.failures,
        n_missing=ledger.n_missing,
    )
