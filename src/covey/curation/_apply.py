"""What each operation does: one function an operation, from a draft and an edit to a changed draft.

A function checks everything before it changes anything, so an edit that no longer makes sense leaves the draft as it
was. None of them draws an id or looks for a nearest cluster: what was drawn or found when the edit was made is in its
payload and its rows. So the same journal always gives the same arrays.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from covey.curation._state import ASIDE, CONFIRMED, PERSON, RUN, CuratedCluster, Curation, Draft, EditError
from covey.curation._titles import check_name, name_key
from covey.types import NOISE, Edit, IntArray


def apply_edit(curation: Curation, edit: Edit) -> Curation:
    """Apply one edit, which is neither an undo nor the adoption of another run.

    Parameters
    ----------
    curation : Curation
        The state before it; not changed.
    edit : Edit
        The edit.

    Returns
    -------
    curation : Curation
        The state after it.

    Raises
    ------
    EditError
        If the edit does not fit the state, or its operation is unknown.
    """
    draft = Draft.thaw(curation)
    operate(draft, edit)
    draft.seq = edit.seq
    return draft.freeze()


def operate(draft: Draft, edit: Edit) -> None:
    """Apply one edit to a draft; `EditError` leaves it as it was."""
    operation = OPERATIONS.get(edit.op)
    if operation is None:
        raise EditError(
            "not_allowed",
            f"The edit {edit.seq} has the operation {edit.op!r}, which this covey does not know; upgrade.",
        )
    operation(draft, edit)


def rename(draft: Draft, edit: Edit) -> None:
    """Set the name of a cluster; an empty one brings the run's back."""
    cluster = _living(draft, edit.payload, "cluster")
    name = check_name(edit.payload.get("name"), is_empty_allowed=True)
    if not name:
        draft.clusters[cluster.id] = replace(
            cluster, name=cluster.run_name, is_named_by_hand=False, facts=cluster.facts - {"named"}
        )
        return
    _check_hand_names(draft, name, {cluster.id})
    draft.change(cluster.id, fact="named", name=name, is_named_by_hand=True)


def merge(draft: Draft, edit: Edit) -> None:
    """Put the members of some clusters into another; those retire and lead to it."""
    into = _living(draft, edit.payload, "into")
    sources = [_known_alive(draft, cluster) for cluster in _integers(edit.payload, "from")]
    if not sources or into.id in {cluster.id for cluster in sources} or len({c.id for c in sources}) < len(sources):
        raise EditError("bad_request", f"Cluster {into.id} cannot be merged with itself; name one or more others.")
    everyone = {cluster.id: cluster for cluster in (into, *sources)}
    if "name" in edit.payload:
        name, is_by_hand, run_name = check_name(edit.payload["name"]), True, into.run_name
        _check_hand_names(draft, name, set(everyone))
    else:
        giver = everyone.get(_integer(edit.payload, "name_of"), into)
        name, is_by_hand, run_name = giver.name, giver.is_named_by_hand, giver.run_name
    gone = np.array([cluster.id for cluster in sources])
    draft.cluster[np.isin(draft.cluster, gone)] = into.id
    draft.second[np.isin(draft.second, gone)] = into.id
    _redirect_rejects(draft, set(gone.tolist()), into.id)
    for cluster in sources:
        draft.change(cluster.id, is_retired=True, merged_into=into.id, group=None)
    facts = frozenset().union(*(cluster.facts for cluster in everyone.values())) - {"reviewed", "named"}
    is_reviewed = all(cluster.is_reviewed for cluster in everyone.values())
    draft.clusters[into.id] = replace(
        into,
        name=name,
        run_name=run_name,
        is_named_by_hand=is_by_hand,
        is_reviewed=is_reviewed,
        reviewed_at=into.reviewed_at if is_reviewed else "",
        facts=facts | {"merged"} | ({"named"} if is_by_hand else set()) | ({"reviewed"} if is_reviewed else set()),
    )
    _drop_empty_groups(draft)


def move(draft: Draft, edit: Edit) -> None:
    """Put images into a cluster, which may be new; a person placed them."""
    rows = draft.rows_of(edit.images)
    target = _integer(edit.payload, "to")
    if "new" in edit.payload:
        name = check_name(edit.payload["new"], is_empty_allowed=True)
        _check_unused(draft, target)
        _check_hand_names(draft, name, set())
        facts = frozenset({"named"} if name else ())
        draft.clusters[target] = CuratedCluster(target, name, is_named_by_hand=bool(name), facts=facts)
    else:
        _known_alive(draft, target)
    draft.cluster[rows], draft.state[rows] = target, PERSON
    draft.rejects.difference_update((image, target) for image in edit.images.tolist())


def split(draft: Draft, edit: Edit) -> None:
    """Take parts of a cluster out into new clusters; the value of a row is its part, and part 0 stays."""
    cluster = _living(draft, edit.payload, "cluster")
    parts = _parts(edit.payload)
    rows = _members(draft, edit, cluster.id)
    if set(edit.values.tolist()) != set(range(1, len(parts))):
        raise EditError("bad_request", f"A part of the split of cluster {cluster.id} is empty; give each an image.")
    if len(rows) == np.count_nonzero(draft.cluster == cluster.id):
        raise EditError("bad_request", f"The split of cluster {cluster.id} leaves nothing in it; keep a part there.")
    names = [check_name(part.get("name", ""), is_empty_allowed=True) for part in parts[1:]]
    ids = [_integer(part, "id") for part in parts[1:]]
    for number, name in zip(ids, names, strict=True):
        _check_unused(draft, number)
        _check_hand_names(draft, name, set())
    if len(set(ids)) < len(ids) or len({name_key(name) for name in names if name}) < sum(map(bool, names)):
        raise EditError("bad_request", "Two parts of a split have the same id or name; give each its own.")
    draft.cluster[rows] = np.array([cluster.id, *ids], np.int32)[edit.values]
    for number, name in zip(ids, names, strict=True):
        facts = frozenset({"split", "named"} if name else {"split"})
        draft.clusters[number] = CuratedCluster(
            number, name, is_named_by_hand=bool(name), group=cluster.group, born_of=cluster.id, facts=facts
        )
    draft.change(cluster.id, fact="split")


def confirm(draft: Draft, edit: Edit) -> None:
    """Note that images are right where they are; the value of a row is that cluster."""
    rows = draft.rows_of(edit.images)
    if np.any(edit.values == NOISE) or np.any(draft.cluster[rows] != edit.values):
        raise EditError("changed", "Some of these images are no longer in the cluster for which they were confirmed.")
    draft.state[rows] = CONFIRMED


def reject(draft: Draft, edit: Edit) -> None:
    """Note that images do not belong to a cluster; the value of a row is where each goes, -1 for aside."""
    cluster = _integer(edit.payload, "cluster")
    rows = _members(draft, edit, cluster)
    for target in np.unique(edit.values).tolist():
        if target != NOISE:
            _known_alive(draft, target)
    draft.rejects.update((image, cluster) for image in edit.images.tolist())
    draft.cluster[rows] = edit.values
    draft.state[rows] = np.where(edit.values == NOISE, ASIDE, RUN)


def set_aside(draft: Draft, edit: Edit) -> None:
    """Take images out of their clusters: a person is not sure."""
    rows = draft.rows_of(edit.images)
    draft.cluster[rows], draft.state[rows] = NOISE, ASIDE


def review(draft: Draft, edit: Edit) -> None:
    """Note that somebody has looked through a cluster; those of its images that are still there are confirmed."""
    cluster, is_reviewed = _living(draft, edit.payload, "cluster"), _boolean(edit.payload)
    rows = draft.rows_of(edit.images)
    if is_reviewed:
        draft.state[rows[draft.cluster[rows] == cluster.id]] = CONFIRMED
    facts = cluster.facts | {"reviewed"} if is_reviewed else cluster.facts - {"reviewed"}
    draft.clusters[cluster.id] = replace(
        cluster, is_reviewed=is_reviewed, reviewed_at=edit.at if is_reviewed else "", facts=facts
    )


def hide(draft: Draft, edit: Edit) -> None:
    """Leave a cluster out of pages, counts and exports unless they are asked for it."""
    cluster, is_hidden = _living(draft, edit.payload, "cluster"), _boolean(edit.payload)
    facts = cluster.facts | {"hidden"} if is_hidden else cluster.facts - {"hidden"}
    draft.clusters[cluster.id] = replace(cluster, is_hidden=is_hidden, facts=facts)


def group(draft: Draft, edit: Edit) -> None:
    """Put clusters into a coarse group, which may be new, or into none; a group without a cluster vanishes."""
    clusters = [_known_alive(draft, cluster) for cluster in _integers(edit.payload, "clusters")]
    target = None if edit.payload.get("to") is None else _integer(edit.payload, "to")
    if target is not None and "new" in edit.payload:
        name = check_name(edit.payload["new"], what="group")
        if target in draft.groups:
            raise EditError("changed", f"There is a group {target} already.")
        _check_group_name(draft, name, None)
        draft.groups[target] = name
    elif target is not None:
        _known_group(draft, target)
    for cluster in clusters:
        draft.change(cluster.id, group=target)
    _drop_empty_groups(draft)


def rename_group(draft: Draft, edit: Edit) -> None:
    """Set the name of a group."""
    number, name = _integer(edit.payload, "group"), check_name(edit.payload.get("name"), what="group")
    _known_group(draft, number)
    _check_group_name(draft, name, number)
    draft.groups[number] = name


OPERATIONS: Final[Mapping[str, Callable[[Draft, Edit], None]]] = {
    "rename": rename,
    "merge": merge,
    "move": move,
    "split": split,
    "confirm": confirm,
    "reject": reject,
    "set_aside": set_aside,
    "review": review,
    "hide": hide,
    "group": group,
    "rename_group": rename_group,
}
"""Every operation but those of the fold itself: ``start``, ``adopt`` and ``undo``."""


def _integer(payload: Mapping[str, Any], key: str) -> int:
    value = payload.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) < value < 2**31:
        raise EditError("bad_request", f"{key!r} of the edit is {value!r}; it must be a whole number.")
    return value


def _integers(payload: Mapping[str, Any], key: str) -> list[int]:
    values = payload.get(key)
    if not isinstance(values, (list, tuple)):
        raise EditError("bad_request", f"{key!r} of the edit is {values!r}; it must be a list of whole numbers.")
    return [_integer({key: value}, key) for value in values]


def _boolean(payload: Mapping[str, Any]) -> bool:
    value = payload.get("value")
    if not isinstance(value, bool):
        raise EditError("bad_request", f"'value' of the edit is {value!r}; it must be true or false.")
    return value


def _parts(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = payload.get("parts")
    if not isinstance(parts, (list, tuple)) or len(parts) < 2 or not all(isinstance(part, Mapping) for part in parts):
        raise EditError("bad_request", "'parts' of a split must be a list of two or more parts.")
    return list(parts)


def _living(draft: Draft, payload: Mapping[str, Any], key: str) -> CuratedCluster:
    return _known_alive(draft, _integer(payload, key))


def _known_alive(draft: Draft, number: int) -> CuratedCluster:
    return find_alive(draft.clusters, number)


def find_alive(clusters: Mapping[int, CuratedCluster], number: int) -> CuratedCluster:
    """Return a cluster that is not retired, or say what became of it."""
    cluster = clusters.get(number)
    if cluster is None:
        known = [known.id for known in clusters.values() if not known.is_retired]
        shown = ", ".join(map(str, known[:12])) + (", ..." if len(known) > 12 else "")
        raise EditError("unknown", f"There is no cluster {number}; there are {len(known)}: {shown}.")
    if cluster.is_retired:
        into = cluster.merged_into
        became = f"was merged into {into}; use that one" if into is not None else "no longer exists"
        raise EditError("retired", f"Cluster {number} {became}.", into)
    return cluster


def _known_group(draft: Draft, number: int) -> None:
    if number not in draft.groups:
        raise EditError(
            "unknown", f"There is no group {number}; there are: {', '.join(map(str, draft.groups)) or '-'}."
        )


def _members(draft: Draft, edit: Edit, cluster: int) -> IntArray:
    """Return the rows of an edit's images, all of which must be in a cluster."""
    rows = draft.rows_of(edit.images)
    n_elsewhere = int(np.count_nonzero(draft.cluster[rows] != cluster))
    if n_elsewhere:
        raise EditError("changed", f"{n_elsewhere} of {len(rows)} images are not in cluster {cluster} any more.")
    return rows


def _check_unused(draft: Draft, number: int) -> None:
    if number in draft.clusters:
        raise EditError("changed", f"There is a cluster {number} already; a new one needs a number of its own.")


def _check_hand_names(draft: Draft, name: str, own: set[int]) -> None:
    """Refuse a name that a person gave to another cluster; names of runs may change later, so they decide nothing."""
    if not name:
        return
    for cluster in draft.clusters.values():
        is_other = cluster.id not in own and not cluster.is_retired and cluster.is_named_by_hand
        if is_other and name_key(cluster.name) == name_key(name):
            raise EditError("name_taken", f"Cluster {cluster.id} has the name {cluster.name!r} already.", cluster.id)


def _check_group_name(draft: Draft, name: str, own: int | None) -> None:
    for number, known in draft.groups.items():
        if number != own and name_key(known) == name_key(name):
            raise EditError("name_taken", f"Group {number} has the name {known!r} already.", number)


def _drop_empty_groups(draft: Draft) -> None:
    used = {cluster.group for cluster in draft.clusters.values() if not cluster.is_retired}
    draft.groups = {number: name for number, name in draft.groups.items() if number in used}


def _redirect_rejects(draft: Draft, gone: set[int], into: int) -> None:
    """Let what was rejected from merged clusters be rejected from the union, unless the image is in it now."""
    kept = {(image, into if cluster in gone else cluster) for image, cluster in draft.rejects}
    images = np.array([image for image, cluster in kept if cluster == into], dtype=np.int64)
    inside = images[draft.cluster[draft.rows_of(images)] == into]
    draft.rejects = kept - {(image, into) for image in inside.tolist()}
