"""From a form or a JSON document to one edit of the journal, and from a refusal to what a person can do then."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, UUID, uuid5

from covey.corrections import EditReport, ProjectCuration
from covey.curation import EditError, describe_edit
from covey.errors import InvalidValueError, ProjectError
from covey.gallery.live._controls import Choice
from covey.gallery.live._reading import is_place
from covey.gallery.live._refusals import RefusalError, RejectedEditError
from covey.gallery.live._served import ServedProject
from covey.types import Edit

__all__ = ["EditRequest", "make_edit", "parse_form", "parse_json"]

MAX_IMAGES = 10_000
_MAX_FIELDS = MAX_IMAGES + 100
_STATUS = {"bad_request": 422, "unknown": 422}
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
# What one form field may hold, several values where the name is one of these.
_LISTS = ("image", "cluster", "also")
# Edits that say something of a whole cluster, by the fields of the payload that name it.
_WHOLE = {
    "rename": ("cluster",),
    "merge": ("into", "from"),
    "split": ("cluster",),
    "review": ("cluster",),
    "hide": ("cluster",),
    "group": ("clusters",),
}


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One edit as it was asked for.

    Attributes
    ----------
    op : str
        Name of the operation.
    values : mapping
        What it needs, as in JSON.
    uuid : str
        Its name; sent twice, it is stored once.
    seq : int or None
        The last edit that the page has seen; None does not ask whether something came since.
    back : str
        Where a form leads, seen from the first page.
    fields : sequence of (str, str)
        What a form sent, so that it can be sent again.
    """

    op: str
    values: Mapping[str, Any]
    uuid: str
    seq: int | None = None
    back: str = ""
    fields: Sequence[tuple[str, str]] = field(default=())


def parse_json(body: bytes) -> EditRequest:
    """Read an edit from JSON: ``op``, ``uuid``, ``seq`` and what the operation needs.

    Raises
    ------
    RefusalError
        400 if it is no such document.
    """
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(f"The body is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise _bad("The body must be a JSON object with op and uuid.")
    op, uuid, seq = document.get("op"), document.get("uuid"), document.get("seq")
    if not isinstance(op, str) or not isinstance(uuid, str) or not 1 <= len(uuid) <= 64 or not uuid.isprintable():
        raise _bad("An edit needs op and uuid, which are text; a uuid has 1 to 64 characters.")
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool)):
        raise _bad(f"seq is {seq!r}; it must be the number of the last edit that you know.")
    values = {key: value for key, value in document.items() if key not in ("op", "uuid", "seq")}
    return EditRequest(op, values, uuid, seq)


def parse_form(body: bytes) -> EditRequest:
    """Read an edit from a form, whose fields are those of JSON but that lists are repeated fields.

    The edit's uuid depends on all fields, so that the same form sent twice is one edit, and a form that was filled in
    again after a way back is another one.

    Raises
    ------
    RefusalError
        400 if it is no such form.
    """
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise _bad(f"The form cannot be read: {error}.") from error
    single = {name: value for name, value in pairs if name not in _LISTS}
    lists = {name: [value for key, value in pairs if key == name] for name in _LISTS}
    op, seq, back = single.pop("op", ""), single.pop("seq", ""), single.pop("back", "")
    try:
        uuid = UUID(single.pop("uuid", ""))
    except ValueError as error:
        raise _bad("The form has no uuid; reload the page.") from error
    if not seq.isdecimal() or len(seq) > 18:
        raise _bad("The form does not say which edit it has seen; reload the page.")
    said = json.dumps(sorted(pair for pair in pairs if pair[0] not in ("uuid", "back")))
    values = _form_values(op, single, lists)
    place = back if is_place(back) else ""
    return EditRequest(op, values, str(uuid5(NAMESPACE_URL, f"{uuid} {said}")), int(seq), place, pairs)


def make_edit(served: ServedProject, request: EditRequest) -> tuple[EditReport, dict[str, Any]]:
    """Make one edit.

    Parameters
    ----------
    served : ServedProject
        The project.
    request : EditRequest
        What was asked for.

    Returns
    -------
    report : EditReport
        What was stored.
    touched : dict
        ``clusters``: for each that the edit names, its title and size.

    Raises
    ------
    RejectedEditError
        422 if it cannot be done, 409 if it does not fit the result as it is now, 503 if the disk or another process
        keeps the journal from being written.
    """
    operation = _OPERATIONS.get(request.op)
    curation = served.curation
    try:
        if operation is None:
            raise EditError("bad_request", f"The operation is {request.op!r}; there are: {', '.join(_OPERATIONS)}.")
        curation.refresh()
        if curation.find_seq(request.uuid) is None:
            _check_unchanged(curation, request)
        report = operation(curation, request)
    except EditError as error:
        refusal = RefusalError(_STATUS.get(error.code, 409), error.code, str(error), error.allowed)
        raise RejectedEditError(refusal, _ways_out(curation, request, error), request.back) from error
    except InvalidValueError as error:
        raise RejectedEditError(RefusalError(422, "bad_request", str(error)), (), request.back) from error
    except ProjectError as error:
        raise RejectedEditError(RefusalError(503, "busy", str(error)), (), request.back) from error
    made = next(edit for edit in curation.edits if edit.seq == report.seq)
    return report, _touched(curation, made)


def _form_values(op: str, single: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Give the fields of a form the types that JSON has."""
    values: dict[str, Any] = {name: value for name, value in single.items() if value.strip() or name == "name"}
    if lists["image"]:
        values["images"] = list(lists["image"])
    clusters = list(lists["cluster"])
    if op == "group":
        values["clusters"] = clusters
    elif op == "merge":
        # Without a target the first one that was ticked keeps its number.
        values.setdefault("into", clusters[0] if clusters else "")
        values["from"] = clusters
        if not values.get("name", "").strip():
            values.pop("name", None)
    elif clusters:
        values["cluster"] = clusters[0]
    if "value" in values:
        values["value"] = values["value"] == "true"
    for name in ("edit", "n_parts"):
        if name in values:
            values[name] = int(values[name]) if values[name].isdecimal() and len(values[name]) < 19 else values[name]
    if lists["also"]:
        values["also"] = [int(seq) for seq in lists["also"] if seq.isdecimal() and len(seq) < 19]
    return values


# ---- one function an operation


def _rename(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.rename(_cluster(request, "cluster"), _text(request, "name"), uuid=request.uuid)


def _merge(curation: ProjectCuration, request: EditRequest) -> EditReport:
    into = _cluster(request, "into")
    found = _clusters(request, "from")
    numbers = {_number(curation, cluster) for cluster in found}
    sources = sorted(numbers - {_number(curation, into)})
    name = _text(request, "name") if "name" in request.values else None
    if not sources:
        raise EditError("bad_request", "One cluster was named; name two or more to merge.")
    return curation.merge(into, *sources, name=name, uuid=request.uuid)


def _move(curation: ProjectCuration, request: EditRequest) -> EditReport:
    to = request.values.get("to")
    if isinstance(to, dict):
        return curation.move(_images(curation, request), new=str(to.get("new", "")), uuid=request.uuid)
    return curation.move(_images(curation, request), _cluster(request, "to"), uuid=request.uuid)


def _make(curation: ProjectCuration, request: EditRequest) -> EditReport:
    """Move images into a new cluster, from a form."""
    return curation.move(_images(curation, request), new=_text(request, "to"), uuid=request.uuid)


def _split(curation: ProjectCuration, request: EditRequest) -> EditReport:
    n_parts = request.values.get("n_parts", 2)
    if not isinstance(n_parts, int) or not 2 <= n_parts <= 8:
        raise EditError("bad_request", f"The number of parts is {n_parts!r}; it must be 2 to 8.")
    return curation.split(_cluster(request, "cluster"), n_parts=n_parts, uuid=request.uuid)


def _confirm(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.confirm(_images(curation, request), uuid=request.uuid)


def _reject(curation: ProjectCuration, request: EditRequest) -> EditReport:
    cluster = _cluster(request, "cluster") if "cluster" in request.values else None
    return curation.reject(_images(curation, request), cluster, uuid=request.uuid)


def _set_aside(curation: ProjectCuration, request: EditRequest) -> EditReport:
    reason = _text(request, "reason") if "reason" in request.values else ""
    return curation.set_aside(_images(curation, request), reason=reason, uuid=request.uuid)


def _review(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.review(_cluster(request, "cluster"), value=_flag(request), uuid=request.uuid)


def _hide(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.hide(_cluster(request, "cluster"), value=_flag(request), uuid=request.uuid)


def _group(curation: ProjectCuration, request: EditRequest) -> EditReport:
    to = _cluster(request, "to") if request.values.get("to") is not None else None
    return curation.group(_clusters(request, "clusters"), to, uuid=request.uuid)


def _rename_group(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.rename_group(_cluster(request, "group"), _text(request, "name"), uuid=request.uuid)


def _undo(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.undo(_seq(request), also=_also(request), uuid=request.uuid)


def _redo(curation: ProjectCuration, request: EditRequest) -> EditReport:
    return curation.redo(_seq(request), also=_also(request), uuid=request.uuid)


_OPERATIONS: Final[Mapping[str, Callable[[ProjectCuration, EditRequest], EditReport]]] = {
    "rename": _rename,
    "merge": _merge,
    "move": _move,
    "make": _make,
    "split": _split,
    "confirm": _confirm,
    "reject": _reject,
    "set_aside": _set_aside,
    "review": _review,
    "hide": _hide,
    "group": _group,
    "rename_group": _rename_group,
    "undo": _undo,
    "redo": _redo,
}


# ---- what a request says, checked


def _cluster(request: EditRequest, key: str) -> int | str:
    value = request.values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip():
        raise EditError("bad_request", f"{key} is {value!r}; name a cluster by its number or its name.")
    return value


def _clusters(request: EditRequest, key: str) -> list[int | str]:
    values = request.values.get(key)
    if not isinstance(values, list) or not values or len(values) > MAX_IMAGES:
        raise EditError("bad_request", f"{key} names no cluster; tick or name one or more.")
    return [_cluster(EditRequest(request.op, {key: value}, ""), key) for value in values]


def _text(request: EditRequest, key: str) -> str:
    value = request.values.get(key)
    if not isinstance(value, str):
        raise EditError("bad_request", f"{key} is {value!r}; it must be text.")
    return value


def _flag(request: EditRequest) -> bool:
    value = request.values.get("value", True)
    if not isinstance(value, bool):
        raise EditError("bad_request", f"value is {value!r}; it must be true or false.")
    return value


def _seq(request: EditRequest) -> int | None:
    value = request.values.get("edit")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise EditError("bad_request", f"edit is {value!r}; it must be the number of an edit.")
    return value


def _also(request: EditRequest) -> list[int]:
    values = request.values.get("also", [])
    if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
        raise EditError("bad_request", f"also is {values!r}; it must be a list of numbers of edits.")
    return values


def _images(curation: ProjectCuration, request: EditRequest) -> list[str]:
    """Return the ids of the named images; a query is expanded, and must give as many as the page has shown."""
    named = request.values.get("images", [])
    if isinstance(named, dict) and isinstance(named.get("query"), dict):
        return _expand(curation, request, named)
    ids = named.get("ids") if isinstance(named, dict) else named
    if not isinstance(ids, list) or not all(isinstance(each, str) and _IMAGE_ID.fullmatch(each) for each in ids):
        raise EditError("bad_request", "images must be a list of ids, 64 digits and letters a to f each.")
    if len(ids) > MAX_IMAGES:
        raise EditError("bad_request", f"{len(ids)} images were named; {MAX_IMAGES} at once are allowed.")
    return ids


def _expand(curation: ProjectCuration, request: EditRequest, named: Mapping[str, Any]) -> list[str]:
    number = _number(curation, _cluster(EditRequest(request.op, named["query"], ""), "cluster"))
    left_out, n_seen = named.get("except", []), named.get("n")
    if not isinstance(left_out, list) or not all(isinstance(each, str) for each in left_out):
        raise EditError("bad_request", "except must be a list of ids.")
    state = curation.state
    keys = set(state.images[state.members(number)].tolist())
    ids = [known for known, key in curation.keys_by_id().items() if key in keys and known not in set(left_out)]
    if len(ids) != n_seen:
        raise EditError("changed", f"The page showed {n_seen!r} images, and there are {len(ids)} now; look again.")
    return ids


def _number(curation: ProjectCuration, cluster: int | str) -> int:
    return curation.find_cluster(cluster)


# ---- what came meanwhile, and ways out


def _check_unchanged(curation: ProjectCuration, request: EditRequest) -> None:
    """Refuse an edit of a cluster or an image that another edit has changed since the page was made."""
    if request.seq is None or request.op in ("undo", "redo"):
        return
    if request.seq > curation.state.seq:
        raise EditError("bad_request", f"The page has seen edit {request.seq}, and the newest is {curation.state.seq}.")
    later = [edit for edit in curation.edits if edit.seq > request.seq and edit.op != "start"]
    if not later:
        return
    keys = curation.keys_by_id()
    values = request.values
    clusters = {_number(curation, name) for name in _named(values) if name != ""}
    images = values.get("images") if isinstance(values.get("images"), list) else []
    wanted = {keys[each] for each in images or () if isinstance(each, str) and each in keys}
    met = [edit for edit in later if _clusters_of(edit, curation) & clusters or wanted & set(edit.images.tolist())]
    if met:
        told = "; ".join(describe_edit(edit, curation.state.clusters) for edit in met[-3:])
        raise EditError(
            "changed", f"Since this page was made, other edits have come: {told}.", [edit.seq for edit in met]
        )


def _named(values: Mapping[str, Any]) -> list[int | str]:
    """Return the clusters that a request speaks of as a whole."""
    names = [values.get("cluster"), values.get("into"), *_listed(values.get("from")), *_listed(values.get("clusters"))]
    return [name for name in names if isinstance(name, (int, str)) and not isinstance(name, bool)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _clusters_of(edit: Edit, curation: ProjectCuration) -> set[int]:
    """Return the clusters that an edit, or what an undo took back, says something of as a whole."""
    if edit.op == "undo":
        undone = next((each for each in curation.edits if each.seq == edit.undoes), None)
        return _clusters_of(undone, curation) if undone is not None else set()
    named = [edit.payload.get(key) for key in _WHOLE.get(edit.op, ())]
    flat = [number for value in named for number in (value if isinstance(value, list) else [value])]
    return {number for number in flat if isinstance(number, int)}


def _ways_out(curation: ProjectCuration, request: EditRequest, error: EditError) -> list[Choice]:
    """Return what a person can do after a refusal, as forms."""
    if not request.fields:
        return []
    kept = [pair for pair in request.fields if pair[0] not in ("uuid", "seq")]
    now = [*kept, ("seq", str(curation.state.seq))]
    if error.code == "changed" and request.op in ("undo", "redo") and isinstance(error.allowed, list):
        return [Choice("Take these along", [*now, *(("also", str(seq)) for seq in error.allowed)])]
    if error.code == "changed" and isinstance(error.allowed, list):
        return [Choice("Do it all the same", now)]
    if error.code == "name_taken" and request.op == "rename":
        cluster, name = str(request.values["cluster"]), str(request.values["name"]).strip()
        rest = [pair for pair in now if pair[0] not in ("op", "name", "cluster")]
        merged = [*rest, ("op", "merge"), ("into", str(error.allowed)), ("cluster", cluster)]
        renamed = [*rest, ("op", "rename"), ("cluster", cluster), ("name", f"{name} (2)")]
        return [Choice(f"Merge it into {error.allowed}", merged), Choice(f"Call it {name} (2)", renamed)]
    if error.code == "unknown" and request.op == "move":
        new = [("op", "make") if name == "op" else (name, value) for name, value in now]
        return [Choice(f"Make a new cluster {request.values.get('to', '')}", new)]
    return []


def _touched(curation: ProjectCuration, edit: Edit) -> dict[str, Any]:
    state, sizes = curation.state, curation.state.sizes()
    numbers = _clusters_of(edit, curation)
    if isinstance(edit.payload.get("to"), int) and edit.op == "move":
        numbers.add(edit.payload["to"])
    return {
        "clusters": {
            str(number): {"title": state.clusters[number].title, "size": sizes.get(number, 0)}
            for number in sorted(numbers & state.clusters.keys())
        },
        "n_images": len(edit.images),
    }


def _bad(message: str) -> RefusalError:
    return RefusalError(400, "bad_request", message)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
