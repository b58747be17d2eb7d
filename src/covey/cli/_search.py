"""`covey search`: the pictures of a project that are most like a picture, a text or a cluster."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from covey.cli._console import echo_json, echo_table
from covey.cli._options import project_argument, run_option


@click.command()
@project_argument
@click.option("--image", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Search by a picture.")
@click.option("--text", help="Search by words.")
@click.option("--cluster", type=int, help="Search by a cluster's centre.")
@click.option("--within", type=int, help="Search among the pictures of this cluster only.")
@click.option("--top", "n_hits", type=click.IntRange(1), default=20, show_default=True, help="The most hits.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out hits whose cosine is smaller.")
@click.option(
    "--space",
    default="features",
    show_default=True,
    help="features, or representation: what the run's method made of them (cpp, scp).",
)
@click.option("--engine", default="exact", show_default=True, help="exact, or usearch, which is approximate.")
@run_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def search(project: Path, as_json: bool, **options: Any) -> None:
    """Find pictures by a picture, by words or by a cluster.

    Give one of --image, --text and --cluster. Scores are cosines, comparable within one search alone.
    """
    from covey.pipeline import search_project
    from covey.store import Project

    with Project.open(project) as opened:
        result = search_project(opened, **options)
    if as_json:
        echo_json(dataclasses.asdict(result))
        return
    rows = [(hit.score, hit.cluster, hit.name, hit.path) for hit in result.hits]
    echo_table(rows, ("score", "cluster", "name", "path"))
    click.echo()
    click.echo(f"{len(result.hits)} of {result.n_searched} pictures, compared in {_space(result.space)}")
    if result.source:
        weaker = ", which is weaker than a model trained on pictures with their texts" if result.is_bridge else ""
        click.echo(f"words understood by {result.source}{weaker}")
    if result.engine != "exact":
        click.echo(f"{result.engine} finds {result.recall:.1%} of the true hits, measured on pictures of this project")


def _space(space: str) -> str:
    return {"features": "features", "representation": "what the method made of them"}.get(space, "a space with words")
