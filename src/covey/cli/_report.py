"""What the main command says: the plan of a dry run, and the result of a real one."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from covey import defaults
from covey.cli._console import Bars, aside_lines, echo_json, echo_table, ledger_line, shell_path, views_line
from covey.gallery import write_gallery
from covey.images import scan_images
from covey.partitions import takes_pixels
from covey.pipeline import (
    IMAGE_SIZE,
    NamingReport,
    RunResult,
    check_output,
    check_pixel_options,
    check_views,
    make_estimator,
)
from covey.store import Project

N_CLUSTERS_SHOWN = 20


def write_pages(root: Path, partition_id: int, progress: Bars) -> Path:
    """Write the gallery of a partition into its project and return the first page."""
    with Project.open(root) as project, project.lock():
        return write_gallery(project, partition_id, root / "gallery", progress=progress)


def echo_plan(sources: Sequence[Path], output: Path, keywords: Mapping[str, Any], *, as_json: bool) -> None:
    """Scan without writing anything and say what a run would do."""
    check_output(sources, output)
    method = keywords.get("method", defaults.CLUSTERER)
    n_clusters = keywords.get("n_clusters")
    draft = make_estimator(method, n_clusters or 2, random_state=keywords["random_state"], device=keywords["device"])
    check_pixel_options(
        draft,
        size=keywords.get("size"),
        backbone=keywords.get("backbone"),
        n_views=keywords["n_views"],
        n_clusters=n_clusters,
    )
    check_views(keywords["n_views"], method)
    report = scan_images(sources, **keywords["scan_options"])
    codes: dict[str, int] = {}
    for failure in report.failures:
        codes[failure.code] = codes.get(failure.code, 0) + 1
    plan = {
        "project": str(output),
        "project_exists": output.exists(),
        "images": len(report.records),
        "duplicates": len(report.files) - len(report.records),
        "skipped": codes,
        "other_files": report.n_other,
        "left_out": report.left_out(),
        "backbone": " + ".join(() if takes_pixels(draft) else keywords.get("backbone", [defaults.BACKBONE])),
        "n_views": keywords["n_views"],
        "method": method,
        "n_clusters": keywords.get("n_clusters", "auto"),
    }
    if as_json:
        echo_json(plan)
        return
    click.echo("Nothing was written. A run would")
    verb = "update" if plan["project_exists"] else "make"
    click.echo(f"  {verb} the project  {shell_path(output)}")
    if plan["backbone"]:
        click.echo(f"  embed             {plan['images']} images with {plan['backbone']}")
    else:
        size = keywords.get("size", IMAGE_SIZE)
        click.echo(f"  pack              {plan['images']} images of {size} x {size} pixels")
    if plan["n_views"]:
        click.echo(f"  embed             {plan['n_views']} views of each image too")
    click.echo(f"  cluster           with {plan['method']}, k = {plan['n_clusters']}")
    skipped = ", ".join(f"{count} {code}" for code, count in sorted(codes.items())) or "nothing"
    click.echo(f"  leave out         {plan['duplicates']} duplicates; {skipped}")
    for aside in aside_lines({}, report.left_out()):
        click.echo(f"  {aside}")


def echo_run(result: RunResult, page: Path | None) -> None:
    """Say what a run made: the clusters, where to look, and the ledger."""
    with Project.open(result.project) as project:
        clusters = project.clusters(result.partition_id)
    if result.selection is not None:
        click.echo(result.selection.why)
    rows = [(c.label, c.name.name, c.size, c.mean_confidence, c.cohesion) for c in clusters[:N_CLUSTERS_SHOWN]]
    echo_table(rows, ("cluster", "name", "images", "confidence", "cohesion"))
    if len(clusters) > N_CLUSTERS_SHOWN:
        click.echo(f"... and {len(clusters) - N_CLUSTERS_SHOWN} smaller ones")
    click.echo()
    if page is not None:
        click.echo(f"gallery  {shell_path(page)}")
    for table in result.tables:
        click.echo(f"table    {shell_path(table)}")
    click.echo(f"features {' + '.join(result.backbones) or 'of the network that was trained'}")
    if result.naming is not None:
        click.echo(naming_line(result.naming))
    elif result.naming_reason:
        click.echo(f"names    none: {result.naming_reason}")
    if result.n_views:
        click.echo(views_line(result.n_views, result.extract.n_views_computed, result.extract.n_views_reused))
    for aside in aside_lines(result.ledger.notes, result.ledger.left_out):
        click.echo(aside)
    click.echo(_ledger(result))


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
    said = f"names    {report.n_named} of {report.n_named + report.n_unnamed} clusters, by {report.source}"
    if report.is_bridge:
        said += "; weaker than a model trained on pictures with their texts"
    return f"{said}; {report.n_words} words of {report.vocabulary}"


def _ledger(result: RunResult) -> str:
    ledger = result.ledger
    return ledger_line(
        ledger.n_found, result.extract.n_computed, ledger.n_embedded, ledger.n_duplicates, ledger.failures
    )
