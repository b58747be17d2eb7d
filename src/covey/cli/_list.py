"""`covey list`: what can be named on the command line."""

import inspect
from collections.abc import Mapping
from typing import Any

import click

from covey.cli._console import echo_json, echo_table


@click.command("list")
@click.argument("kind", type=click.Choice(["backbones", "clusterers", "metrics", "criteria", "neighbors"]))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def list_items(kind: str, as_json: bool) -> None:
    """List what is registered of a KIND."""
    rows = [dict(row) for row in _rows(kind)]
    if as_json:
        echo_json(rows)
    elif rows:
        echo_table([row.values() for row in map(tuple_values, rows)], tuple(rows[0]))


def tuple_values(row: dict[str, object]) -> dict[str, object]:
    """Return a row whose tuples read as words."""
    return {name: " x ".join(map(str, v)) if isinstance(v, tuple) else v for name, v in row.items()}


def _rows(kind: str) -> list[dict[str, object]]:
    if kind == "backbones":
        from covey.backbones import BACKBONES

        keys = ("name", "n_features", "input_size", "license", "pretraining")
        return [{key: getattr(spec, key) for key in keys} for spec in BACKBONES.values()]
    if kind == "metrics":
        from covey.metrics import METRICS

        keys = ("name", "range", "larger_is_better", "needs")
        return [{key: getattr(spec, key) for key in keys} for spec in METRICS.values()]
    items = _registry(kind).items()
    return [{"name": name, "what": (inspect.getdoc(item) or "").partition("\n")[0]} for name, item in items]


def _registry(kind: str) -> Mapping[str, Any]:
    if kind == "clusterers":
        from covey.cluster import CLUSTERERS

        return CLUSTERERS
    if kind == "criteria":
        from covey.selection import CRITERIA

        return CRITERIA
    from covey.neighbors import NEIGHBOR_ENGINES

    return NEIGHBOR_ENGINES
