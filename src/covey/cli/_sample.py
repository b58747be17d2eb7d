"""`covey sample`: pictures to try covey on."""

import shlex
from pathlib import Path
from typing import Literal

import click

from covey.cli._console import echo_json, shell_path
from covey.cli._options import Output, result_options
from covey.cli._output import echo


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--kind",
    type=click.Choice(["auto", "emoji", "digits"]),
    default="auto",
    show_default=True,
    help="Emoji of many groups, which need covey[demo], or handwritten digits; auto takes emoji if they are installed.",
)
@result_options
def sample(folder: Path, kind: Literal["auto", "emoji", "digits"], speech: Output) -> None:
    """Write a folder of sample pictures.

    They come from what is installed; nothing is downloaded. Standard output is the pictures' folder alone; what to do
    next is on standard error.
    """
    from covey.images import sample_images

    pictures = sample_images(folder, kind)
    table = pictures.with_suffix(".csv")
    if speech.as_json:
        echo_json({"folder": pictures, "labels": table})
        return
    if speech.quiet:
        return
    echo(shell_path(pictures))
    # A project of the same name beside the folder, whatever the working folder is.
    project = pictures.with_suffix(".covey")
    echo(f"The classes that are known are in {shell_path(table)}. Next:", err=True)
    for command in (
        f"covey cluster {_quoted(pictures)} -o {_quoted(project)} --open",
        f"covey eval {_quoted(project)} --labels {_quoted(table)}",
    ):
        echo(f"  {command}", err=True)


def _quoted(path: Path) -> str:
    return shlex.quote(shell_path(path))
