"""`covey models`: which models there are, which are here, and how the others get here."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import click

from covey.cli import _console
from covey.cli._console import echo_json, echo_table
from covey.cli._options import Output, result_options
from covey.cli._output import echo

_LONGEST_LINE = 38


@click.group()
def models() -> None:
    """List, find, fetch and take in models.

    A model is looked for in the folder of `covey models path`, then in the cache of the Hugging Face hub. Nothing is
    fetched unless you ask for it with `covey models download`.
    """


@models.command("list")
@click.option("--here", "is_here_only", is_flag=True, help="Only those that can be used now.")
@click.option("--text", "has_text_only", is_flag=True, help="Only those that know texts too.")
@result_options
def list_models(is_here_only: bool, has_text_only: bool, speech: Output) -> None:
    """List all backbones: width, input, licence, what they learned from, and whether they are here."""
    from covey.backbones import BACKBONES, model_status

    rows = []
    statuses = {name: model_status(spec) for name, spec in BACKBONES.items()}
    for name, status in sorted(statuses.items(), key=lambda item: (not item[1].is_here, item[0])):
        spec = BACKBONES[name]
        if (is_here_only and not status.is_here) or (has_text_only and not spec.has_text):
            continue
        height, width = spec.input_size
        row: dict[str, Any] = {"name": name, "features": spec.n_features, "input": f"{height}x{width}"}
        row |= {"text": "yes" if spec.has_text else "", "licence": spec.license or "-"}
        row |= {"learned from": spec.pretraining, "here": status.words}
        source = {"path": status.path, "source": spec.weights, "paper": spec.paper, "pooling": spec.pooling}
        rows.append(row | source | {"revision": spec.revision or None} if speech.as_json else row)
    if speech.as_json:
        echo_json(rows)
    elif rows and not speech.quiet:
        echo_table([[_shorten(value) for value in row.values()] for row in rows], tuple(rows[0]))
        echo("What a line cuts short: covey models list --json. What is missing: covey models download NAME.")


@models.command("path")
@click.argument("name", required=False)
def model_path(name: str | None) -> None:
    """Print where models are kept, or where NAME is."""
    from covey.backbones import BACKBONES, model_status, models_folder

    if name is None:
        echo(models_folder())
        return
    echo(model_status(BACKBONES[name]).require())


@models.command("import")
@click.argument("name")
@click.argument("source", metavar="PATH", type=click.Path(path_type=Path, exists=True))
@click.option("--offline", is_flag=True, help="Make any connection to another machine an error.")
def import_(name: str, source: Path, offline: bool) -> None:
    """Take a copy of a model in from PATH, a folder or a file of weights, under its NAME.

    It is loaded first, so that a wrong, damaged or half-downloaded one is refused.
    """
    from covey.backbones import take_in_model

    if offline:
        _console.forbid_network()
    echo(f"{name} is in {_console.shell_path(take_in_model(name, source))}")


@models.command("download")
@click.argument("name")
def download(name: str) -> None:
    """Fetch the model NAME from where it was published, and take it in.

    This is the only command of covey that connects to another machine. A model whose licence has to be accepted needs
    a login at the hub first: `hf auth login`.
    """
    from covey.backbones import BACKBONES, download_model, take_in_model

    spec = BACKBONES[name]
    echo(f"{name}: {spec.weights.partition(':')[2]} ({spec.license})", err=True)
    with tempfile.TemporaryDirectory(prefix="covey-") as folder:
        path = take_in_model(name, download_model(spec, Path(folder)))
    echo(f"{name} is in {_console.shell_path(path)}")


@models.command("check")
@click.argument("name")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--images", "n_images", type=click.IntRange(1, 10**9), default=64, show_default=True, help="Most to compare."
)
@result_options
def check(name: str, sources: tuple[Path, ...], n_images: int, speech: Output) -> None:
    """Compare the fast way that NAME runs here with exact arithmetic, on pictures of yours.

    Fast is what covey uses by default, bfloat16 where the processor has it; exact is float32. A picture's two rows
    should have a cosine above 0.999.
    """
    from covey.backbones import require_models

    require_models([name])
    from covey.extract import compare_with_float32

    found = compare_with_float32(name, sources, n_images=n_images)
    if speech.as_json:
        echo_json({**dataclasses.asdict(found), "is_close": found.is_close})
        return
    if speech.quiet:
        return
    echo(f"{name} by {found.runtime} in {found.precision}, against torch in float32, {found.n_images} pictures:")
    echo(f"cosine  least {found.cosine_min:.5f}, mean {found.cosine_mean:.5f}")
    echo(f"rate    {found.images_per_s:.1f} against {found.float32_images_per_s:.1f} pictures a second")
    if not found.is_close:
        echo("The rows differ more than they should: please report it, with the name of the model.")


@models.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export(name: str, file: Path) -> None:
    """Write the image network of NAME, or of a folder, as an ONNX FILE for other programs."""
    from covey.backbones import export_backbone

    echo(export_backbone(name, file))


def _shorten(value: Any) -> Any:
    """Cut words that would make the table too wide for a terminal."""
    if not isinstance(value, str) or len(value) <= _LONGEST_LINE:
        return value
    return value[: _LONGEST_LINE - 1].rstrip(" ,;:") + "…"
