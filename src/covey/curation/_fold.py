"""From a journal to the corrected result: the fold, and what an undo would take along."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from covey.curation._apply import operate
from covey.curation._state import RUN, BaseRun, CuratedCluster, Curation, Draft, EditError, find_rows
from covey.types import NOISE, Edit

START, ADOPT, UNDO = "start", "adopt", "undo"
"""The operations of the fold itself: the base run of a new curation, another base run, and the undo of an edit."""

PLACE_BITS: Final = 3
"""A row of an ``adopt`` holds a cluster and, in this many low bits, a state: see `covey.curation.encode_place`."""


@dataclass(frozen=True, slots=True)
class StrandedEdit:
    """An edit that no longer makes sense at its place in the journal, so the fold leaves it out.

    Attributes
    ----------
    seq : int
        Which.
    code : str
        As in `EditError`.
    why : str
        For a person.
    """

    seq: int
    code: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a journal amounts to.

    Attributes
    ----------
    curation : Curation
        The corrected result.
    stranded : tuple of StrandedEdit
        Edits that were left out, in their order, undone ones not counted.
    undone : frozenset of int
        Edits that an undo took back, undos that were redone among them.
    """

    curation: Curation
    stranded: tuple[StrandedEdit, ...]
    undone: frozenset[int]


def fold(
    images: np.ndarray[Any, np.dtype[np.int64]],
    load: Callable[[int], BaseRun],
    edits: Sequence[Edit],
    *,
    without: Collection[int] = (),
) -> Fold:
    """Compute the corrected result from a journal.

    Parameters
    ----------
    images : ndarray of shape (n,), dtype int64
        Keys of all images of the project, rising.
    load : callable
        Gives the `BaseRun` of a partition.
    edits : sequence of Edit
        The whole journal, by rising number; the first one is the start.
    without : collection of int, optional
        Edits to leave out as if they had been undone.

    Returns
    -------
    fold : Fold
        The result; equal journals give equal arrays.

    Raises
    ------
    EditError
        If the journal does not begin with a start.

    Notes
    -----
    Cost: one copy of the arrays for the whole journal, and for each edit the images it touches; a merge and a hide of a
    cluster cost O(n).
    """
    if not edits or edits[0].op != START:
        raise EditError("bad_request", "The journal of edits does not begin with the run that it corrects.")
    undone = find_undone(edits, without)
    draft = Draft.begin(images, load(start_partition(edits[0])))
    stranded = []
    for edit in edits[1:]:
        if edit.op == UNDO or edit.seq in undone:
            continue
        try:
            if edit.op == ADOPT:
                _adopt(draft, edit, load)
            else:
                operate(draft, edit)
        except EditError as error:
            stranded.append(StrandedEdit(edit.seq, error.code, str(error)))
    draft.seq = edits[-1].seq
    return Fold(draft.freeze(), tuple(stranded), undone)


def is_live(edit: Edit, undone: Collection[int]) -> bool:
    """Tell whether an edit is in effect: neither undone nor an undo itself, nor the start.

    Parameters
    ----------
    edit : Edit
        The edit.
    undone : collection of int
        Numbers of the edits that are taken back, as in `Fold.undone`.

    Returns
    -------
    is_live : bool
        True if it is in effect.
    """
    return edit.op not in (START, UNDO) and edit.seq not in undone


def find_undone(edits: Sequence[Edit], without: Collection[int] = ()) -> frozenset[int]:
    """Return the edits that are taken back: an undo works unless a later undo names it, hence newest first."""
    undone = set(without)
    for edit in reversed(edits):
        if edit.op == UNDO and edit.seq not in undone:
            undone.update(taken_back(edit))
    return frozenset(undone)


def find_later(
    images: np.ndarray[Any, np.dtype[np.int64]],
    load: Callable[[int], BaseRun],
    edits: Sequence[Edit],
    seq: int,
    stranded: Sequence[StrandedEdit],
) -> list[StrandedEdit]:
    """Find the edits that would no longer make sense if one were undone.

    Parameters
    ----------
    images : ndarray of shape (n,), dtype int64
        Keys of all images of the project, rising.
    load : callable
        Gives the `BaseRun` of a partition.
    edits : sequence of Edit
        The whole journal, by rising number.
    seq : int
        The edit, or an undo, whose undo redoes what it took back.
    stranded : sequence of StrandedEdit
        Those of the journal as it is, which are not listed again.

    Returns
    -------
    later : list of StrandedEdit
        In their order; empty for the newest edit.
    """
    if all(edit.seq <= seq for edit in edits):
        return []
    known = {edit.seq for edit in stranded}
    return [edit for edit in fold(images, load, edits, without=(seq,)).stranded if edit.seq not in known]


def taken_back(undo: Edit) -> set[int]:
    """Return the edits that an undo names: its own, and those that do not make sense without it."""
    also = undo.payload.get("also", [])
    named = {seq for seq in also if isinstance(seq, int)} if isinstance(also, (list, tuple)) else set()
    return named | ({undo.undoes} if undo.undoes is not None else set())


def start_partition(edit: Edit) -> int:
    """Return the partition that a start or an adoption names.

    Parameters
    ----------
    edit : Edit
        A ``start`` or an ``adopt``.

    Returns
    -------
    partition : int
        Id of the partition.

    Raises
    ------
    EditError
        If its payload does not have a whole number as ``partition``.
    """
    partition = edit.payload.get("partition")
    if not isinstance(partition, int) or isinstance(partition, bool):
        raise EditError("bad_request", f"Edit {edit.seq} names the partition {partition!r}; it must be a whole number.")
    return partition


def _adopt(draft: Draft, edit: Edit, load: Callable[[int], BaseRun]) -> None:
    """Take another run as the base: unpinned images go where it and the plan put them, pinned ones stay."""
    run = load(start_partition(edit))
    ids = _read_ids(edit.payload, run, draft)
    # Label -> id, with NOISE at the end, so that label -1 finds it: shape (largest label + 2,).
    to_id = np.full(max(run.names, default=-1) + 2, NOISE, np.int32)
    for label, number in ids.items():
        to_id[label] = number
    rows, placed = find_rows(draft.images, run.images), draft.rows_of(edit.images)
    is_free = ~np.isin(draft.state[rows], _PINNED)
    labels, second = to_id[run.labels], to_id[run.second]
    draft.cluster[rows[is_free]], draft.state[rows[is_free]] = labels[is_free], RUN
    draft.cluster[placed] = edit.values >> PLACE_BITS
    draft.state[placed] = edit.values & (2**PLACE_BITS - 1)
    draft.score[:], draft.second[:], draft.base_cluster[:] = 0, NOISE, NOISE
    draft.score[rows], draft.second[rows], draft.base_cluster[rows] = run.confidence, second, labels
    _carry_clusters(draft, edit.payload, run, ids)
    draft.base = run.partition


_PINNED = (1, 2, 4)  # PERSON, CONFIRMED, ASIDE


def _read_ids(payload: Mapping[str, Any], run: BaseRun, draft: Draft) -> dict[int, int]:
    """Return the cluster of each label of the run, checked against both."""
    pairs = payload.get("ids")
    try:
        ids = {int(label): int(number) for label, number in pairs or ()}
    except (TypeError, ValueError) as error:
        raise EditError("bad_request", "'ids' of an adoption must be pairs of a label and a cluster.") from error
    if ids.keys() - run.names.keys() or len(ids) < len(pairs or ()):
        raise EditError("changed", f"The plan is not for run {run.partition}: it names labels that the run lacks.")
    retired = [number for number in ids.values() if number in draft.clusters and draft.clusters[number].is_retired]
    if retired:
        raise EditError("retired", f"The plan was made for another state: cluster {retired[0]} is retired now.")
    return ids


def _carry_clusters(draft: Draft, payload: Mapping[str, Any], run: BaseRun, ids: Mapping[int, int]) -> None:
    """Give heirs the run's words, make the new clusters, and retire those that are gone."""
    born_of = {int(number): parent for number, parent in payload.get("born_of", [])}
    main = {
        number: label for label, number in sorted(ids.items(), reverse=True)
    }  # the first label of an id is its heir
    main |= {number: label for label, number in ids.items() if label in set(payload.get("heirs", []))}
    for number, label in sorted(main.items()):
        words = run.names[label]
        known = draft.clusters.get(number)
        if known is None:
            draft.clusters[number] = CuratedCluster(number, words, words, born_of=born_of.get(number))
        else:
            name = known.name if known.is_named_by_hand else words
            draft.clusters[number] = replace(known, name=name, run_name=words)
    for number in payload.get("retired", []):
        if number in draft.clusters:
            draft.change(number, is_retired=True, group=None)
    used = {cluster.group for cluster in draft.clusters.values() if not cluster.is_retired}
    draft.groups = {number: name for number, name in draft.groups.items() if number in used}
