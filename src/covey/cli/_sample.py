"""`covey sample`: pictures to try covey on."""

from pathlib import Path

import click

from covey.cli._console import shell_path


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def sample(folder: Path) -> None:
    """Write a folder of sample pictures.

    They come from what is installed; nothing is downloaded.
    """
    from covey.images import sample_images

    click.echo(shell_path(sample_images(folder)))
