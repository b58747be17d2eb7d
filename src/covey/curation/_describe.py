"""Edits in words, for a history: what was done, to what, and to how many images."""

from collections.abc import Mapping
from typing import Any

from covey.curation._state import CuratedCluster
from covey.types import Edit


def describe_edit(edit: Edit, clusters: Mapping[int, CuratedCluster]) -> str:
    """Say in one line what an edit does.

    Parameters
    ----------
    edit : Edit
        The edit.
    clusters : mapping of int to CuratedCluster
        The clusters as they are now; one that is not there is called by its number.

    Returns
    -------
    line : str
        E.g. ``merged 17 (artichoke) into 11 (flower)``.
    """
    writer = _WRITERS.get(edit.op)
    try:
        return writer(edit, _Names(clusters)) if writer else f"{edit.op}, which this covey does not know"
    except (KeyError, TypeError, IndexError):
        return f"{edit.op}, in a form that this covey does not know"


class _Names:
    """Calls clusters by number and name."""

    def __init__(self, clusters: Mapping[int, CuratedCluster]) -> None:
        self._clusters = clusters

    def __call__(self, number: int) -> str:
        cluster = self._clusters.get(number)
        return f"{number} ({cluster.name})" if cluster is not None and cluster.name else str(number)


def _count(edit: Edit) -> str:
    return "1 image" if len(edit.images) == 1 else f"{len(edit.images)} images"


def _rename(edit: Edit, _: _Names) -> str:
    cluster, name = edit.payload["cluster"], edit.payload["name"]
    return f"named {cluster} {name!r}" if name else f"gave {cluster} the run's name back"


def _merge(edit: Edit, names: _Names) -> str:
    return f"merged {', '.join(names(source) for source in edit.payload['from'])} into {names(edit.payload['into'])}"


def _move(edit: Edit, names: _Names) -> str:
    new = "the new cluster " if "new" in edit.payload else ""
    return f"moved {_count(edit)} to {new}{names(edit.payload['to'])}"


def _split(edit: Edit, names: _Names) -> str:
    parts = ", ".join(names(part["id"]) for part in edit.payload["parts"][1:])
    return f"split {_count(edit)} off {names(edit.payload['cluster'])} into {parts}"


def _confirm(edit: Edit, _: _Names) -> str:
    return f"confirmed {_count(edit)}"


def _reject(edit: Edit, names: _Names) -> str:
    return f"rejected {_count(edit)} from {names(edit.payload['cluster'])}"


def _set_aside(edit: Edit, _: _Names) -> str:
    reason = edit.payload.get("reason", "")
    return f"set {_count(edit)} aside" + (f": {reason}" if reason else "")


def _review(edit: Edit, names: _Names) -> str:
    return f"{'reviewed' if edit.payload['value'] else 'took back the review of'} {names(edit.payload['cluster'])}"


def _hide(edit: Edit, names: _Names) -> str:
    return f"{'hid' if edit.payload['value'] else 'showed'} {names(edit.payload['cluster'])}"


def _group(edit: Edit, names: _Names) -> str:
    clusters = ", ".join(names(cluster) for cluster in edit.payload["clusters"])
    if edit.payload["to"] is None:
        return f"took {clusters} out of their group"
    new = edit.payload.get("new")
    return f"put {clusters} into {f'the new group {new!r}' if new else 'group ' + str(edit.payload['to'])}"


def _rename_group(edit: Edit, _: _Names) -> str:
    return f"named group {edit.payload['group']} {edit.payload['name']!r}"


def _start(edit: Edit, _: _Names) -> str:
    return f"started from run {edit.payload.get('run', edit.payload['partition'])}"


def _adopt(edit: Edit, _: _Names) -> str:
    counts: Mapping[str, Any] = edit.payload.get("counts", {})
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"adopted run {edit.payload.get('run', edit.payload['partition'])}" + (f": {listed}" if listed else "")


def _undo(edit: Edit, _: _Names) -> str:
    also = edit.payload.get("also") or []
    return f"undid {edit.undoes}" + (f" and {', '.join(map(str, also))}" if also else "")


_WRITERS = {
    "rename": _rename,
    "merge": _merge,
    "move": _move,
    "split": _split,
    "confirm": _confirm,
    "reject": _reject,
    "set_aside": _set_aside,
    "review": _review,
    "hide": _hide,
    "group": _group,
    "rename_group": _rename_group,
    "start": _start,
    "adopt": _adopt,
    "undo": _undo,
}
