"""From what a person asks for to an edit that says everything: names checked, ids drawn, unchanged images left out.

A request is checked against the state that it was made for. What a fold must not do happens here, once: drawing new
ids, and resolving which name a merged cluster keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from covey.curation._apply import find_alive
from covey.curation._state import ASIDE, CONFIRMED, CuratedCluster, Curation, EditError
from covey.curation._titles import check_name, name_key
from covey.types import NOISE, Edit, IntArray

MAX_PARTS = 8
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """An edit that has no number yet.

    Attributes
    ----------
    op : str
        Name of the operation.
    payload : dict
        Its parameters, JSON-compatible.
    images, values : ndarray of shape (m,), dtype int64
        As in `covey.types.Edit`, images rising.
    n_unchanged : int
        Images that were named but are already as asked for.
    """

    op: str
    payload: dict[str, Any]
    images: IntArray = field(default_factory=_NONE.copy)
    values: IntArray = field(default_factory=_NONE.copy)
    n_unchanged: int = 0


class RequestMaker:
    """Makes requests for one state of a curation.

    Every method raises `EditError` if the request is refused. Images are keys of the project; clusters and groups are
    ids.

    Parameters
    ----------
    curation : Curation
        The state.
    edits : sequence of Edit
        The whole journal, undone edits too, since no id is used twice.
    """

    def __init__(self, curation: Curation, edits: Sequence[Edit]) -> None:
        self._state = curation
        drawn_clusters, drawn_groups = _drawn(edits)
        self.next_cluster = max([*curation.clusters, *drawn_clusters], default=-1) + 1
        self.next_group = max([*curation.groups, *drawn_groups], default=-1) + 1

    def rename(self, cluster: int, name: str) -> Request:
        """Name a cluster; an empty name brings the run's back.

        Parameters
        ----------
        cluster : int
            Id of the cluster.
        name : str
            The new name, at most 120 characters; no other cluster may have it.

        Returns
        -------
        request : Request
            An edit ``rename``.
        """
        known = self._alive(cluster)
        text = check_name(name, is_empty_allowed=True)
        if text:
            self._check_free(text, {cluster})
        elif known.run_name:
            self._check_free(known.run_name, {cluster}, is_by_hand=True)
        return Request("rename", {"cluster": cluster, "name": text})

    def merge(self, into: int, sources: Sequence[int], name: str | None = None) -> Request:
        """Merge clusters into another one.

        Parameters
        ----------
        into : int
            Id of the cluster that stays.
        sources : sequence of int
            Ids of the clusters that end, one or more; none may be hidden.
        name : str, optional
            Name of the union. If not given, a name that a person gave stays, that of `into` first and then that of the
            largest cluster; if no person named any of them, the largest cluster's name stays.

        Returns
        -------
        request : Request
            An edit ``merge``.
        """
        everyone = [self._visible(cluster) for cluster in (into, *sources)]
        if len({cluster.id for cluster in everyone}) < len(everyone) or len(everyone) < 2:
            raise EditError("bad_request", f"Cluster {into} cannot be merged with itself; name one or more others.")
        payload: dict[str, Any] = {"into": into, "from": list(sources)}
        if name is not None:
            payload["name"] = check_name(name)
            self._check_free(payload["name"], {cluster.id for cluster in everyone})
            return Request("merge", payload)
        sizes = self._state.sizes()
        by_size = sorted(everyone, key=lambda cluster: -sizes[cluster.id])
        named = [cluster for cluster in [everyone[0], *by_size] if cluster.is_named_by_hand]
        return Request("merge", {**payload, "name_of": (named or by_size)[0].id})

    def move(self, images: IntArray, to: int | None = None, *, new: str | None = None) -> Request:
        """Move images into a cluster, or into a new one with this name.

        Parameters
        ----------
        images : ndarray of shape (m,), dtype int64
            Keys of one or more images, in any order.
        to : int, optional
            Id of the cluster; give either this or `new`.
        new : str, optional
            Name of a new cluster.

        Returns
        -------
        request : Request
            An edit ``move`` of the images that are not there yet.
        """
        if (to is None) == (new is None):
            raise EditError("bad_request", "Say where the images go: a cluster, or the name of a new one, not both.")
        keys = self._some(images)
        if new is not None:
            name = check_name(new)
            self._check_free(name, set())
            target, payload = self.next_cluster, {"to": self.next_cluster, "new": name}
        else:
            target = self._alive(to if to is not None else NOISE).id
            payload = {"to": target}
        is_there = self._state.cluster[self._state.rows_of(keys)] == target
        moved = keys[~is_there]
        if not len(moved):
            raise EditError("bad_request", f"All {len(keys)} images are in cluster {target} already; nothing to move.")
        return Request("move", payload, moved, np.full(len(moved), target), int(is_there.sum()))

    def split(self, cluster: int, parts: Sequence[IntArray], names: Sequence[str] = ()) -> Request:
        """Split a cluster.

        Parameters
        ----------
        cluster : int
            Id of the cluster.
        parts : sequence of ndarray of shape (m_i,), dtype int64
            One to seven disjoint sets of keys, none empty; each becomes a new cluster. All other members stay, at least
            one.
        names : sequence of str, default=()
            Names of the new clusters in the order of `parts`; one that is empty or missing gives no name.

        Returns
        -------
        request : Request
            An edit ``split``; its values are 1 + the index of the part.
        """
        known, members = self._alive(cluster), self._state.images[self._state.members(cluster)]
        if not 1 <= len(parts) < MAX_PARTS:
            raise EditError("bad_request", f"{len(parts) + 1} parts were asked for; a split has 2 to {MAX_PARTS}.")
        if len(names) > len(parts):
            raise EditError("bad_request", f"There are {len(names)} names for {len(parts)} new clusters.")
        keys = np.concatenate([np.unique(part) for part in parts])
        if any(not len(part) for part in parts) or len(np.unique(keys)) == len(members):
            raise EditError("bad_request", f"A part of the split of cluster {cluster} is empty; give each an image.")
        if len(np.unique(keys)) < len(keys):
            raise EditError("bad_request", "An image is in two parts of the split; put it into one.")
        n_other = int((~np.isin(keys, members)).sum())
        if n_other:
            raise EditError("changed", f"{n_other} of {len(keys)} images are not in {known.title}; name its members.")
        described: list[dict[str, Any]] = [{"id": cluster}]
        for number in range(len(parts)):
            name = check_name(names[number], is_empty_allowed=True) if number < len(names) else ""
            if name:
                self._check_free(name, set())
            described.append({"id": self.next_cluster + number, **({"name": name} if name else {})})
        values = np.concatenate([np.full(len(np.unique(part)), i + 1) for i, part in enumerate(parts)])
        order = np.argsort(keys, kind="stable")
        return Request("split", {"cluster": cluster, "parts": described}, keys[order], values[order])

    def confirm(self, images: IntArray) -> Request:
        """Say that images are right where they are.

        Parameters
        ----------
        images : ndarray of shape (m,), dtype int64
            Keys of one or more images, in any order.

        Returns
        -------
        request : Request
            An edit ``confirm`` of the images that are not confirmed yet.
        """
        keys = self._some(images)
        rows = self._state.rows_of(keys)
        n_without = int((self._state.cluster[rows] == NOISE).sum())
        if n_without:
            raise EditError("bad_request", f"{n_without} of {len(keys)} images are in no cluster; move them into one.")
        is_new = self._state.state[rows] != CONFIRMED
        if not is_new.any():
            raise EditError("bad_request", f"All {len(keys)} images are confirmed already.")
        values = self._state.cluster[rows[is_new]].astype(np.int64)
        return Request("confirm", {}, keys[is_new], values, int((~is_new).sum()))

    def reject(self, images: IntArray, cluster: int, targets: IntArray) -> Request:
        """Say that images do not belong to a cluster.

        Parameters
        ----------
        images : ndarray of shape (m,), dtype int64
            Keys of one or more images, in any order.
        cluster : int
            Id of the cluster, in which all of them must be.
        targets : ndarray of shape (m,), integer dtype
            Where each image goes, in the rising order of the distinct keys: id of a cluster, or -1 to set it aside.

        Returns
        -------
        request : Request
            An edit ``reject``.
        """
        known, keys = self._alive(cluster), self._some(images)
        n_other = int((self._state.cluster[self._state.rows_of(keys)] != cluster).sum())
        if n_other:
            raise EditError(
                "bad_request", f"{n_other} of {len(keys)} images are not in {known.title}; name its members."
            )
        return Request("reject", {"cluster": cluster}, keys, targets.astype(np.int64))

    def set_aside(self, images: IntArray, reason: str = "") -> Request:
        """Take images out of their clusters, since a person is not sure.

        Parameters
        ----------
        images : ndarray of shape (m,), dtype int64
            Keys of one or more images, in any order.
        reason : str, default=""
            Why, at most 120 characters.

        Returns
        -------
        request : Request
            An edit ``set_aside`` of the images that are not aside yet.
        """
        keys = self._some(images)
        is_aside = self._state.state[self._state.rows_of(keys)] == ASIDE
        if is_aside.all():
            raise EditError("bad_request", f"All {len(keys)} images are aside already.")
        payload = {"reason": check_name(reason, what="reason")} if reason else {}
        moved = keys[~is_aside]
        return Request("set_aside", payload, moved, np.full(len(moved), NOISE), int(is_aside.sum()))

    def review(self, cluster: int, *, value: bool = True) -> Request:
        """Say that a cluster has been looked through, or take that back.

        Parameters
        ----------
        cluster : int
            Id of the cluster.
        value : bool, default=True
            Whether it has been looked through; False takes that back.

        Returns
        -------
        request : Request
            An edit ``review``, with the present members if `value` is True.
        """
        self._alive(cluster)
        keys = self._state.images[self._state.members(cluster)] if value else _NONE
        return Request("review", {"cluster": cluster, "value": value}, keys, np.full(len(keys), cluster))

    def hide(self, cluster: int, *, value: bool = True) -> Request:
        """Hide a cluster, or show it again.

        Parameters
        ----------
        cluster : int
            Id of the cluster.
        value : bool, default=True
            Whether it is hidden; it must not be so already.

        Returns
        -------
        request : Request
            An edit ``hide``.
        """
        known = self._alive(cluster)
        if known.is_hidden == value:
            raise EditError("bad_request", f"{known.title} is {'hidden already' if value else 'not hidden'}.")
        return Request("hide", {"cluster": cluster, "value": value})

    def group(self, clusters: Sequence[int], to: int | None = None, *, new: str | None = None) -> Request:
        """Put clusters into a group, into a new one with this name, or into none.

        Parameters
        ----------
        clusters : sequence of int
            Ids of one or more clusters.
        to : int, optional
            Id of the group; none if neither this nor `new` is given.
        new : str, optional
            Name of a new group; `to` is then ignored.

        Returns
        -------
        request : Request
            An edit ``group``.
        """
        if not clusters:
            raise EditError("bad_request", "No cluster was named; name one or more to put into a group.")
        ids = sorted({self._alive(cluster).id for cluster in clusters})
        if new is not None:
            return Request("group", {"clusters": ids, "to": self.next_group, "new": self._group_name(new, None)})
        self._check_group(to)
        return Request("group", {"clusters": ids, "to": to})

    def rename_group(self, group: int, name: str) -> Request:
        """Name a coarse group.

        Parameters
        ----------
        group : int
            Id of the group.
        name : str
            The new name, at most 120 characters; no other group may have it.

        Returns
        -------
        request : Request
            An edit ``rename_group``.
        """
        self._check_group(group)
        return Request("rename_group", {"group": group, "name": self._group_name(name, group)})

    def _alive(self, cluster: int) -> CuratedCluster:
        return find_alive(self._state.clusters, cluster)

    def _visible(self, cluster: int) -> CuratedCluster:
        known = self._alive(cluster)
        if known.is_hidden:
            raise EditError("bad_request", f"{known.title} is hidden; show it again before you merge it.")
        return known

    def _some(self, images: IntArray) -> IntArray:
        """Return the keys of images, rising and each once; there must be one."""
        keys = np.unique(np.asarray(images, dtype=np.int64))
        if not len(keys):
            raise EditError("bad_request", "No image was named; name one or more.")
        self._state.rows_of(keys)
        return keys

    def _check_free(self, name: str, own: set[int], *, is_by_hand: bool = False) -> None:
        """Refuse a name that another living cluster has; `is_by_hand` minds only names that a person gave."""
        for cluster in self._state.alive:
            is_minded = cluster.id not in own and (cluster.is_named_by_hand or not is_by_hand)
            if is_minded and name_key(cluster.title) == name_key(name):
                raise EditError(
                    "name_taken",
                    f"Cluster {cluster.id} has the name {cluster.title!r} already; merge the two, or choose another "
                    f"name such as {name + ' (2)'!r}.",
                    cluster.id,
                )

    def _check_group(self, group: int | None) -> None:
        if group is not None and group not in self._state.groups:
            known = ", ".join(f"{number} ({name})" for number, name in self._state.groups.items()) or "none yet"
            raise EditError("unknown", f"There is no group {group}; there are: {known}.")

    def _group_name(self, name: str, own: int | None) -> str:
        text = check_name(name, what="group")
        for number, known in self._state.groups.items():
            if number != own and name_key(known) == name_key(text):
                raise EditError("name_taken", f"Group {number} has the name {known!r} already.", number)
        return text


def _drawn(edits: Sequence[Edit]) -> tuple[set[int], set[int]]:
    """Return all ids of clusters and of groups that were ever drawn."""
    clusters: set[int] = set()
    groups: set[int] = set()
    for edit in edits:
        if edit.op == "group":
            groups.update(_numbers(edit.payload, "to"))
        elif edit.op == "move":
            clusters.update(_numbers(edit.payload, "to"))
        elif edit.op == "split":
            for part in edit.payload.get("parts", ()):
                clusters.update(_numbers(part, "id"))
        elif edit.op == "adopt":
            clusters.update(int(number) for _, number in edit.payload.get("ids", ()))
    return clusters, groups


def _numbers(payload: Mapping[str, Any], key: str) -> set[int]:
    value = payload.get(key)
    return {value} if isinstance(value, int) else set()
