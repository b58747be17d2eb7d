"""`covey k`: the evidence for a number of clusters."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from covey.backbones import require_models
from covey.cli import _console, _options
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.cli._progress import Bars
    from covey.pipeline import ProjectEvidence


@click.command("k")
@_options.project_argument
@click.option("--k-min", type=click.IntRange(2, 10**9), help="Fewest clusters to consider.")
@click.option("--k-max", type=click.IntRange(2, 10**9), help="Most clusters to consider.")
@click.option(
    "--criterion",
    default="consensus",
    show_default=True,
    metavar="NAME",
    help="What decides; all others are shown beside it. See: covey list criteria.",
)
@click.option(
    "-m",
    "--model",
    "backbone",
    metavar="NAME",
    multiple=True,
    help="Whose features; may be given again.  [default: those of the latest run]",
)
@click.option(
    "--seed", "random_state", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed."
)
@_options.output_options
def k(
    project: Path,
    *,
    k_min: int | None,
    k_max: int | None,
    criterion: str,
    backbone: tuple[str, ...],
    random_state: int,
    speech: _options.Output,
) -> None:
    """Weigh the numbers of clusters of a project.

    Five criteria judge each number without labels. The table shows them all, k.json keeps them, and the gallery of the
    latest run, if there is one, gets a page. Nothing is clustered anew: take a number over with covey cluster -k N.
    """
    if backbone:
        require_models(backbone)
    with speech.bars() as progress:
        progress("start", 0, None)
        from covey.pipeline import weigh_project
        from covey.store import Project

        evidence = weigh_project(
            project,
            backbone=backbone or None,
            criterion=criterion,
            k_min=k_min,
            k_max=k_max,
            random_state=random_state,
            progress=progress,
        )
        with Project.open(project) as opened:
            partitions = opened.partitions()
        page = _write_page(project, progress) if partitions else None
    if speech.as_json:
        facts = {"project": str(project), "backbones": evidence.backbones, "file": str(evidence.path)}
        _console.echo_json({**facts, "page": str(page) if page else None, **evidence.result.to_dict()})
    elif not speech.quiet:
        _echo(evidence, page)


def _write_page(project: Path, progress: "Bars") -> Path:
    from covey.cli._report import write_pages

    return write_pages(project, None, progress).with_name("k.html")


def _echo(evidence: "ProjectEvidence", page: Path | None) -> None:
    """Print the table, and below it what to make of it."""
    from covey.selection import CRITERIA

    result = evidence.result
    names = list(result.evidence)
    at_best = {name: choice["n_clusters"] for name, choice in result.to_dict()["choices"].items()}
    marks = {granularity.n_clusters: granularity.name for granularity in result.granularities}
    # A longer head would make the table wider than a terminal.
    heads = {name: (CRITERIA.spec(name).short if name in CRITERIA else "") or name for name in names}
    rows = []
    for i, row in enumerate(result.curve):
        number = row.n_clusters
        best = ", ".join(heads[name] for name in names if at_best[name] == number)
        scores = (f"{result.evidence[name][i].score:.3f}" for name in names)
        rows.append((number, *scores, marks.get(number, ""), best))
    _console.echo_table(rows, ("k", *heads.values(), "granularity", "best of"))
    echo(f"\n{result.why}\n")
    for granularity in result.granularities:
        echo(f"{granularity.name:<10}{granularity.n_clusters:<5} {', '.join(granularity.supporters)}".rstrip())
    low, high = result.interval
    echo(f"interval  {low} to {high}: at least half of the votes")
    echo(f"flatness  {len(result.plausible)} of {len(rows)} numbers within one standard deviation of the best")
    echo(
        f"from      n = {result.n_images} images, d = {result.n_features}, judged on {result.n_rows} rows in "
        f"{result.n_components} axes: the answer depends on both"
    )
    echo(f"features  {' + '.join(evidence.backbones)}")
    echo(f"table     {_console.shell_path(evidence.path)}")
    echo(f"page      {_console.shell_path(page)}" if page else "page      none before the first covey cluster")
