"""The options that several commands have, each said once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from covey import defaults
from covey.cli._console import apply_options
from covey.errors import InvalidValueError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_PATH = click.Path(path_type=Path)
_SOURCE = click.Path(path_type=Path, exists=True, allow_dash=True)


class AutoInt(click.ParamType[int | None]):
    """A whole number from `minimum`, or the word ``auto`` (None)."""

    name = "N|auto"

    def __init__(self, minimum: int) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the number, or None for ``auto``."""
        if isinstance(value, int) or value is None:
            return value
        if value == "auto":
            return None
        if not value.isdigit() or int(value) < self.minimum:
            self.fail(f"{value!r} is neither a whole number from {self.minimum} nor 'auto'.", param, ctx)
        return int(value)


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which pictures are meant and where the project lies."""
    return apply_options(
        function,
        [
            click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=_SOURCE),
            click.option(
                "-o", "--output", type=_PATH, help="Project folder, outside the sources.  [default: ./SOURCE.covey]"
            ),
            click.option("--recursive/--no-recursive", default=True, show_default=True, help="Look into subfolders."),
            click.option("--follow-symlinks", is_flag=True, help="Follow links to folders and files."),
            click.option("--include", multiple=True, metavar="GLOB", help="Only these paths; may be given again."),
            click.option("--exclude", multiple=True, metavar="GLOB", help="Not these paths; may be given again."),
            click.option(
                "--include-system", is_flag=True, help="Folders of NAS, trash and system too, and with .nomedia."
            ),
            click.option("--by-content", is_flag=True, help="Files without a known suffix too, by their first bytes."),
        ],
    )


def embed_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how features are computed."""
    return apply_options(
        function,
        [
            click.option(
                "-m",
                "--model",
                "backbone",
                metavar="NAME|PATH",
                multiple=True,
                help="Backbone, or a model's folder; given again, the features of several are joined. See: "
                "covey models list.  "
                f"[default: {defaults.BACKBONE}]",
            ),
            click.option(
                "--views",
                "n_views",
                type=click.IntRange(0),
                default=0,
                show_default=True,
                metavar="N",
                help="Augmented copies of each picture to embed too, for methods that compare them; at least 2.",
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."),
            click.option(
                "-b", "--batch-size", type=AutoInt(1), metavar="N|auto", default="auto", help="Images at once."
            ),
            click.option("--engine", default="inline", show_default=True, help="Who runs the shards: inline or pool."),
            click.option("--workers", type=AutoInt(1), metavar="N|auto", default="auto", help="Threads or processes."),
            click.option("--retry-failed", is_flag=True, help="Try every image again that could not be read before."),
            click.option("--offline", is_flag=True, help="Make any connection to another machine an error."),
        ],
    )


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how the command speaks."""
    return apply_options(
        function,
        [
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
            click.option("--progress/--no-progress", "has_progress", default=True, help="Draw progress bars."),
            click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and --json."),
        ],
    )


project_argument = click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False))
run_option = click.option("--run", "partition_id", type=int, help="Which partition.  [default: the latest]")
strict_option = click.option("--strict", is_flag=True, help="Exit with 3 if a file was skipped.")


def default_output(sources: tuple[Path, ...], output: Path | None) -> Path:
    """Return the project folder: as given, or named after the first source in the working folder."""
    if output is not None:
        return output
    if str(sources[0]) == "-":
        raise InvalidValueError("A list of files from standard input needs a project folder: give one with -o.")
    return Path(f"{sources[0].resolve().stem or 'images'}.covey")


def pipeline_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name what `source_options` and `embed_options` add as `covey.pipeline` does; ``auto`` leaves its default."""
    from covey.backbones import require_models

    require_models(options["backbone"])
    extract = {"engine": options["engine"], "batch_size": options["batch_size"], "n_workers": options["workers"]}
    extract["retry_failed"] = options["retry_failed"] or None
    scan = ("recursive", "follow_symlinks", "include", "exclude", "include_system", "by_content")
    keywords = {
        "backbone": options["backbone"] or None,
        "n_views": options["n_views"],
        "device": options["device"],
        "scan_options": {name: options[name] for name in scan},
        "extract_options": drop_none(extract),
    }
    return drop_none(keywords)


def drop_none(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given."""
    return {name: value for name, value in keywords.items() if value is not None}


def parse_params(params: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``name=value`` into keywords: numbers, true, false and none are read as such, the rest is text.

    Raises
    ------
    InvalidValueError
        If there is no ``=``.
    """
    words: dict[str, Any] = {"true": True, "false": False, "none": None}
    result: dict[str, Any] = {}
    for item in params:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise InvalidValueError(f"--param {item!r} must have the form NAME=VALUE, for example beta=0.6.")
        result[name.strip().replace("-", "_")] = words.get(value.lower(), _number_or_text(value))
    return result


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
