"""`covey name` and `covey search`: words for clusters, and pictures for words, a picture or a cluster."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covey.cli import _console
from covey.cli._options import Output, output_options, project_argument, raw_csv_option, result_options, run_option
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.store import Project
    from covey.text import Vocabulary
    from covey.types import Backbone

_model_option = click.option(
    "-m",
    "--model",
    "models",
    metavar="PATH",
    multiple=True,
    help="The run's own model, where it came from a folder: a run keeps its name, not its place.",
)


@click.command("name")
@project_argument
@run_option
@click.option(
    "--vocabulary",
    metavar="FILE|folders",
    help="A text file with one word or phrase a line, in any language, or the word folders: the names of the pictures' "
    "folders.  [default: WordNet's nouns above the backbone's ImageNet classes, else covey's own list]",
)
@click.option(
    "--template",
    "templates",
    metavar="TEXT",
    multiple=True,
    help="Prompt that a word is put into, with {} for it: 'a drawing of a {}'; several are averaged.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="A cluster whose best word scores less stays unnamed.  [default: 0.05]",
)
@click.option(
    "--top",
    "n_runners_up",
    type=click.IntRange(0, 10**9),
    default=4,
    show_default=True,
    help="Further words to keep for each cluster.",
)
@click.option(
    "--captioner", metavar="COMMAND", help="Program that reads a PNG and prints a caption; names come from these."
)
@_model_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@raw_csv_option
@click.option("--gallery/--no-gallery", "has_gallery", default=True, show_default=True, help="Write the pages again.")
@output_options
def name(
    project: Path,
    partition_id: int | None,
    *,
    vocabulary: str | None,
    templates: tuple[str, ...],
    threshold: float | None,
    n_runners_up: int,
    captioner: str | None,
    models: tuple[str, ...],
    device: str,
    raw_csv: bool,
    has_gallery: bool,
    speech: Output,
) -> None:
    """Name the clusters of a run.

    The classifier that comes with the backbone names a cluster by the most special noun that its images agree on. With
    a vocabulary, images vote for its words, through the text tower of their backbone or a bridge that stands in for
    one. Only the words change, never who is in which cluster.
    """
    limits = {} if threshold is None else {"threshold": threshold}
    with speech.bars() as progress:
        progress("start", 0, None)
        from covey.cli._report import naming_line, write_pages
        from covey.pipeline import name_partition
        from covey.store import Project
        from covey.text import CommandCaptioner

        with Project.open(project) as opened, opened.lock():
            run = opened.partition_info(partition_id)
            report = name_partition(
                opened,
                run.id,
                vocabulary=_read(vocabulary, opened),
                templates=templates,
                n_runners_up=n_runners_up,
                captioner=CommandCaptioner(_split(captioner)) if captioner is not None else None,
                backbones=_load(models, device),
                device=device,
                progress=progress,
                **limits,
            )
            opened.write_tables(run.id, is_raw=raw_csv)
            clusters = opened.clusters(run.id)
        page = write_pages(project, partition_id, progress) if has_gallery else None
    if speech.as_json:
        told = [{**c.name._asdict(), "images": c.size} for c in clusters]
        _console.echo_json({"partition": run.id, **dataclasses.asdict(report), "clusters": told, "gallery": page})
        return
    if speech.quiet:
        return
    rows = [(c.label, c.name.name, c.name.score, c.size, ", ".join(c.name.runners_up)) for c in clusters]
    _console.echo_table(rows, ("cluster", "name", "score", "images", "or"))
    echo()
    echo(naming_line(report))
    if page is not None:
        echo(f"gallery  {_console.shell_path(page)}")


def _split(command: str) -> list[str]:
    """Split a command line into words, as a shell does."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise click.BadParameter(
            f"{command!r} cannot be split into words ({error}); close each quote.", param_hint="--captioner"
        ) from error


def _load(models: tuple[str, ...], device: str) -> "list[Backbone]":
    from covey.pipeline import load_backbones

    return load_backbones(models, device=device) if models else []


def _read(vocabulary: str | None, project: "Project") -> "Vocabulary | None":
    from covey.pipeline import folder_vocabulary
    from covey.text import read_vocabulary

    if vocabulary is None:
        return None
    return folder_vocabulary(project) if vocabulary == "folders" else read_vocabulary(Path(vocabulary))


@click.command()
@project_argument
@click.option("--image", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Search by a picture.")
@click.option("--text", help="Search by words.")
@click.option("--cluster", type=click.IntRange(-1, 10**9), help="Search by a cluster's centre.")
@click.option("--within", type=click.IntRange(-1, 10**9), help="Search among the pictures of this cluster only.")
@click.option("--top", "n_hits", type=click.IntRange(1, 10**9), default=20, show_default=True, help="The most hits.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out hits whose cosine is smaller.")
@click.option(
    "--space",
    default="features",
    show_default=True,
    help="features, or representation: what the run's method made of them, where it makes one.",
)
@click.option("--engine", default="exact", show_default=True, help="exact, or usearch, which is approximate.")
@run_option
@_model_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@result_options
def search(
    project: Path,
    *,
    image: Path | None,
    text: str | None,
    cluster: int | None,
    within: int | None,
    n_hits: int,
    min_score: float | None,
    space: str,
    engine: str,
    partition_id: int | None,
    models: tuple[str, ...],
    device: str,
    speech: Output,
) -> None:
    """Find pictures by a picture, by words or by a cluster.

    Give one of --image, --text and --cluster. Scores are cosines, comparable within one search alone.
    """
    from covey.pipeline import search_project
    from covey.store import Project

    with Project.open(project) as opened:
        result = search_project(
            opened,
            image=image,
            text=text,
            cluster=cluster,
            within=within,
            n_hits=n_hits,
            min_score=min_score,
            space=space,
            engine=engine,
            partition_id=partition_id,
            backbones=_load(models, device),
            device=device,
        )
    if speech.as_json:
        _console.echo_json(dataclasses.asdict(result))
        return
    if speech.quiet:
        return
    rows = [(hit.score, hit.cluster, hit.name, hit.path) for hit in result.hits]
    _console.echo_table(rows, ("score", "cluster", "name", "path"))
    echo()
    echo(f"{len(result.hits)} of {result.n_searched} pictures, compared in {_space(result.space)}")
    if result.source:
        weaker = ", which is weaker than a model trained on pictures with their texts" if result.is_bridge else ""
        echo(f"words understood by {result.source}{weaker}")
    if result.engine != "exact":
        echo(f"{result.engine} finds {result.recall:.1%} of the true hits, measured on pictures of this project")


def _space(space: str) -> str:
    return {"features": "features", "representation": "what the method made of them"}.get(space, "a space with words")
