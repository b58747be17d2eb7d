"""`covey list`: what can be named on the command line."""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from covey.cli._console import echo_json, echo_table
from covey.cli._options import Output, result_options
from covey.cli._output import echo
from covey.registry import DEFAULT_BACKBONE, DEFAULT_CLUSTERER


class Kind(NamedTuple):
    """A kind of things that can be named.

    Attributes
    ----------
    option : str
        The option that takes a name of it; empty if there is none.
    default : str
        The name that is taken if none is given; empty if there is none.
    advice : str
        When to take another, in one line.
    """

    option: str
    default: str
    advice: str


KINDS = {
    "backbones": Kind(
        "-m",
        DEFAULT_BACKBONE,
        "Comes with covey and suits photos. Stronger ones, e.g. DINOv2: covey models list, covey models download NAME.",
    ),
    "clusterers": Kind(
        "--method",
        DEFAULT_CLUSTERER,
        "Fast. temi, turtle and scp train small networks on the features, which takes longer and is often better; "
        "hdbscan leaves outliers out.",
    ),
    "criteria": Kind(
        "--criterion",
        "consensus",
        "The median of the votes of all others. Take a single one only if you know what it looks at.",
    ),
    "metrics": Kind("", "", "What covey eval computes against known labels. AMI compares runs with different k best."),
    "neighbors": Kind("", "exact", "Used in Python, by covey.neighbors. Exact compares all pairs."),
    "search": Kind(
        "--engine", "exact", "Of covey search. usearch is approximate, for large projects; needs covey[ann]."
    ),
}


@click.command("list")
@click.argument("kind", type=click.Choice(list(KINDS)), required=False)
@result_options
def list_items(kind: str | None, speech: Output) -> None:
    """List what is registered of a KIND; without one, all names with the defaults marked."""
    rows = [dict(row) for row in _rows(kind)] if kind else [_overview(name) for name in KINDS]
    if speech.as_json:
        echo_json(rows)
    elif speech.quiet:
        return
    elif kind is None:
        _echo_overview(rows)
    elif rows:
        echo_table([list(_readable(row).values()) for row in rows], tuple(rows[0]))


def _overview(kind: str) -> dict[str, Any]:
    """Return the names of a kind, its default and the advice."""
    return {"kind": kind, **KINDS[kind]._asdict(), "names": list(_registry(kind))}


def _echo_overview(rows: list[dict[str, Any]]) -> None:
    """Print every kind with its names, the default first and marked."""
    for row in rows:
        head = f"{row['kind']} ({row['option']} NAME)" if row["option"] else row["kind"]
        echo(f"{head}: {row['advice']}")
        names = sorted(row["names"], key=lambda name: name != row["default"])
        marked = [f"{name} [default]" if name == row["default"] else name for name in names]
        echo(click.wrap_text(", ".join(marked), 100, "    ", "    ") + "\n")
    echo("Each in detail: covey list KIND")


def _readable(row: dict[str, object]) -> dict[str, object]:
    """Write tuples as a person would."""
    return {name: ", ".join(map(str, v)) if isinstance(v, tuple) else v for name, v in row.items()}


def _rows(kind: str) -> list[dict[str, object]]:
    if kind == "backbones":
        return _columns(_registry(kind), ("name", "n_features", "input_size", "license", "pretraining"))
    if kind == "metrics":
        return _columns(_registry(kind), ("name", "range", "larger_is_better", "needs"))
    rows = []
    for name, item in _registry(kind).items():
        row: dict[str, object] = {"name": name, "what": (inspect.getdoc(item) or "").partition("\n")[0]}
        rows.append(row | {"presets": tuple(getattr(item, "presets", ()))} if kind == "clusterers" else row)
    return rows


def _columns(registry: Mapping[str, Any], keys: tuple[str, ...]) -> list[dict[str, object]]:
    return [{key: getattr(spec, key) for key in keys} for spec in registry.values()]


def _registry(kind: str) -> Mapping[str, Any]:
    if kind == "backbones":
        from covey.backbones import BACKBONES

        return BACKBONES
    if kind == "metrics":
        from covey.metrics import METRICS

        return METRICS
    if kind == "clusterers":
        from covey.cluster import CLUSTERERS

        return CLUSTERERS
    if kind == "criteria":
        from covey.selection import CRITERIA

        return CRITERIA
    if kind == "search":
        from covey.search import SEARCH_ENGINES

        return SEARCH_ENGINES
    from covey.neighbors import NEIGHBOR_ENGINES

    return NEIGHBOR_ENGINES
