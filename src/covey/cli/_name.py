"""`covey name`: words for the clusters of a run."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covey.cli import _console
from covey.cli._options import project_argument, run_option

if TYPE_CHECKING:
    from covey.store import Project
    from covey.text import Vocabulary


@click.command("name")
@project_argument
@run_option
@click.option(
    "--vocabulary",
    metavar="FILE|folders",
    help="A text file with one word or phrase a line, in any language, or the word folders: the names of the pictures' "
    "folders.  [default: covey's own list]",
)
@click.option("--template", metavar="TEXT", help="Prompt that a word is put into, with {} for it: 'a drawing of a {}'.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="A cluster whose best word scores less keeps its number.  [default: 0.01]",
)
@click.option(
    "--top",
    "n_runners_up",
    type=click.IntRange(0),
    default=4,
    show_default=True,
    help="Further words to keep for each cluster.",
)
@click.option(
    "--captioner", metavar="COMMAND", help="Program that reads a PNG and prints a caption; names come from these."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--gallery/--no-gallery", "has_gallery", default=True, show_default=True, help="Write the pages again.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--progress/--no-progress", "has_progress", default=True, help="Draw progress bars.")
def name(project: Path, partition_id: int | None, **options: Any) -> None:
    """Name the clusters of a run.

    Pictures vote for the words of a vocabulary, through the text tower of their backbone or a bridge that stands in
    for one. Only the words change, never who is in which cluster.
    """
    from covey.cli._report import naming_line, write_pages
    from covey.pipeline import name_partition
    from covey.store import Project, write_tables
    from covey.text import CommandCaptioner

    command = options["captioner"]
    keywords = {key: options[key] for key in ("template", "threshold", "device") if options[key] is not None}
    with _console.Bars(is_shown=options["has_progress"]) as progress:
        with Project.open(project) as opened, opened.lock():
            run = opened.partition_info(partition_id)
            report = name_partition(
                opened,
                run.id,
                vocabulary=_read(options["vocabulary"], opened),
                n_runners_up=options["n_runners_up"],
                captioner=CommandCaptioner(shlex.split(command)) if command is not None else None,
                progress=progress,
                **keywords,
            )
            write_tables(opened, run.id)
            clusters = opened.clusters(run.id)
        page = write_pages(project, run.id, progress) if options["has_gallery"] else None
    if options["as_json"]:
        told = [{**c.name._asdict(), "images": c.size} for c in clusters]
        _console.echo_json({"partition": run.id, **dataclasses.asdict(report), "clusters": told, "gallery": page})
        return
    rows = [(c.label, c.name.name, c.name.score, c.size, ", ".join(c.name.runners_up)) for c in clusters]
    _console.echo_table(rows, ("cluster", "name", "score", "images", "or"))
    click.echo()
    click.echo(naming_line(report))
    if page is not None:
        click.echo(f"gallery  {_console.shell_path(page)}")


def _read(vocabulary: str | None, project: "Project") -> "Vocabulary | None":
    from covey.pipeline import folder_vocabulary
    from covey.text import read_vocabulary

    if vocabulary is None:
        return None
    return folder_vocabulary(project) if vocabulary == "folders" else read_vocabulary(Path(vocabulary))
