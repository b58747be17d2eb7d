"""`covey gallery`: write the pages of a partition again."""

from pathlib import Path

import click

from covey.cli import _console
from covey.cli._options import project_argument, run_option


@click.command()
@project_argument
@run_option
@click.option("--progress/--no-progress", "has_progress", default=True, help="Draw progress bars.")
def gallery(project: Path, partition_id: int | None, has_progress: bool) -> None:
    """Write the pages of a partition again."""
    from covey.cli._report import write_pages
    from covey.store import Project

    with Project.open(project) as opened:
        chosen = opened.partition_info(partition_id).id
    with _console.Bars(is_shown=has_progress) as progress:
        page = write_pages(project, chosen, progress)
    click.echo(_console.shell_path(page))
