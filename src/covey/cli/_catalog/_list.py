"""`covey list`: what can be named on the command line."""

import inspect
from collections.abc import Mapping
from typing import Any

import click

from covey.cli._console import echo_json, echo_table


@click.command("list")
@click.argument("kind", type=click.Choice(["backbones", "clusterers", "metrics", "criteria", "neighbors", "search"]))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def list_items(kind: str, as_json: bool) -> None:
    """List what is registered of a KIND."""
    rows = [dict(row) for row in _rows(kind)]
    if as_json:
        echo_json(rows)
    elif rows:
        echo_table([list(_readable(row).values()) for row in rows], tuple(rows[0]))


def _readable(row: dict[str, object]) -> dict[str, object]:
    """Write tuples as a person would."""
    return {name: ", ".join(map(str, v)) if isinstance(v, tuple) else v for name, v in row.items()}


def _rows(kind: str) -> list[dict[str, object]]:
    if kind == "backbones":
        from covey.backbones import BACKBONES

        return _columns(BACKBONES, ("name", "n_features", "input_size", "license", "pretraining"))
    if kind == "metrics":
        from covey.metrics import METRICS

        return _columns(METRICS, ("name", "range", "larger_is_better", "needs"))
    rows = []
    for name, item in _registry(kind).items():
        row: dict[str, object] = {"name": name, "what": (inspect.getdoc(item) or "").partition("\n")[0]}
        rows.append(row | {"presets": tuple(getattr(item, "presets", ()))} if kind == "clusterers" else row)
    return rows


def _columns(registry: Mapping[str, Any], keys: tuple[str, ...]) -> list[dict[str, object]]:
    return [{key: getattr(spec, key) for key in keys} for spec in registry.values()]


def _registry(kind: str) -> Mapping[str, Any]:
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
