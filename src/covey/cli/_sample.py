"""`covey sample`: pictures to try covey on."""

from pathlib import Path
from typing import Literal

import click

from covey.cli._console import shell_path
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
def sample(folder: Path, kind: Literal["auto", "emoji", "digits"]) -> None:
    """Write a folder of sample pictures.

    They come from what is installed; nothing is downloaded. Standard output is the pictures' folder alone.
    """
    from covey.images import sample_images

    pictures = sample_images(folder, kind)
    echo(shell_path(pictures))
    echo(f"The classes that are known are in {shell_path(pictures.with_suffix('.csv'))}", err=True)
