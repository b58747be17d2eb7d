"""The options that several commands have, each declared once and handed over in groups."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from covey.backbones import require_models
from covey.cli._console import apply_options, forbid_network
from covey.cli._progress import Bars
from covey.errors import InvalidValueError
from covey.registry import DEFAULT_BACKBONE

Command = Callable[..., Any]

_PATH = click.Path(path_type=Path)
_SOURCE = click.Path(path_type=Path, exists=True, allow_dash=True)


class AutoInt(click.ParamType[int | str | None]):
    """A whole number from `minimum`, the word ``auto`` (None), or one of some further words (itself)."""

    name = "N|auto"

    def __init__(self, minimum: int, words: tuple[str, ...] = ()) -> None:
        self.minimum = minimum
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str | None:
        """Return the number, the word, or None for ``auto``."""
        if isinstance(value, int) or value is None:
            return value
        if value == "auto":
            return None
        if value in self.words:
            return str(value)
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or int(value) < self.minimum:
            allowed = ", ".join(map(repr, (*self.words, "auto")))
            nor = f"nor one of {allowed}" if self.words else "nor 'auto'"
            self.fail(f"{value!r} is neither a whole number from {self.minimum} {nor}.", param, ctx)
        return int(value)


class Output(NamedTuple):
    """How a command speaks.

    Attributes
    ----------
    as_json : bool
        Whether the result is printed as JSON.
    has_progress : bool
        Whether progress is shown.
    quiet : bool
        Whether nothing is printed but errors and JSON.
    """

    as_json: bool
    has_progress: bool
    quiet: bool

    def bars(self) -> Bars:
        """Return the progress callback that these options ask for."""
        return Bars(is_shown=self.has_progress and not self.quiet)


def source_options(function: Command) -> Command:
    """Add the options that say which images are meant and where the project is.

    The command gets ``sources``, ``output`` (a Path, chosen if it was not given) and ``scan_options``, keywords of
    `covey.images.scan_images`.
    """

    @wraps(function)
    def call(
        *,
        recursive: bool,
        follow_symlinks: bool,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        include_system: bool,
        by_content: bool,
        **given: Any,
    ) -> Any:
        scan_options = {
            "recursive": recursive,
            "follow_symlinks": follow_symlinks,
            "include": include,
            "exclude": exclude,
            "include_system": include_system,
            "by_content": by_content,
        }
        given["output"] = default_output(given["sources"], given["output"])
        return function(scan_options=scan_options, **given)

    return apply_options(
        call,
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


def embed_options(function: Command) -> Command:
    """Add the options that say how features are computed.

    The command gets ``backbone`` (names, or None), ``n_views``, ``device`` and ``extract_options``, keywords of
    `covey.extract.extract_features`.
    """

    @wraps(function)
    def call(
        *,
        models: tuple[str, ...],
        batch_size: int | None,
        engine: str,
        workers: int | None,
        retry_failed: bool,
        offline: bool,
        **given: Any,
    ) -> Any:
        if offline:
            forbid_network()
        if models:  # before torch is loaded, which takes seconds
            require_models(models)
        extract_options = drop_none({"engine": engine, "batch_size": batch_size, "n_workers": workers})
        if retry_failed:
            extract_options["retry_failed"] = True
        return function(backbone=models or None, extract_options=extract_options, **given)

    return apply_options(
        call,
        [
            click.option(
                "-m",
                "--model",
                "models",
                metavar="NAME|PATH",
                multiple=True,
                help="Backbone, or a model's folder; given again, the features of several are joined. See: "
                "covey models list.  "
                f"[default: {DEFAULT_BACKBONE}]",
            ),
            click.option(
                "--views",
                "n_views",
                type=click.IntRange(0, 10**9),
                default=0,
                show_default=True,
                metavar="N",
                help="Augmented copies of each image to embed too, for methods that compare them; at least 2.",
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."),
            click.option(
                "-b", "--batch-size", type=AutoInt(1), metavar="N|auto", default="auto", help="Images at once."
            ),
            click.option(
                "--engine",
                default="inline",
                show_default=True,
                help="Who runs the shards: a registered engine.",
            ),
            click.option("--workers", type=AutoInt(1), metavar="N|auto", default="auto", help="Threads or processes."),
            click.option("--retry-failed", is_flag=True, help="Try every image again that could not be read before."),
            click.option("--offline", is_flag=True, help="Make any connection to another machine an error."),
        ],
    )


_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_progress_option = click.option(
    "--progress/--no-progress", "has_progress", default=True, show_default=True, help="Show progress."
)
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors and --json.")


def output_options(function: Command) -> Command:
    """Add the options that say how the command speaks; the command gets them as ``speech``, an `Output`."""

    @wraps(function)
    def call(*, as_json: bool, has_progress: bool, quiet: bool, **given: Any) -> Any:
        return function(speech=Output(as_json, has_progress, quiet), **given)

    return apply_options(call, [_json_option, _progress_option, _quiet_option])


def result_options(function: Command) -> Command:
    """Add the options of `output_options` for a command that is done at once and draws no progress."""

    @wraps(function)
    def call(*, as_json: bool, quiet: bool, **given: Any) -> Any:
        return function(speech=Output(as_json, False, quiet), **given)

    return apply_options(call, [_json_option, _quiet_option])


project_argument = click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False))
run_option = click.option(
    "--run", "partition_id", type=click.IntRange(0, 10**9), help="Which partition.  [default: the latest]"
)
raw_csv_option = click.option(
    "--raw-csv", is_flag=True, help="Tables without the apostrophe before what a spreadsheet would run as a formula."
)
strict_option = click.option("--strict", is_flag=True, help="Exit with 3 if a file was skipped.")


def default_output(sources: tuple[Path, ...], output: Path | None) -> Path:
    """Return the project folder: as given, or named after the first source in the working folder."""
    if output is not None:
        return output
    if str(sources[0]) == "-":
        raise InvalidValueError("A list of files from standard input needs a project folder: give one with -o.")
    return Path(f"{sources[0].resolve().stem or 'images'}.covey")


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
