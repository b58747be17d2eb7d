"""How a newer run takes the place of the base: which of its clusters are the known ones, and what a person has fixed.

What a person did is a fact; what a run says is a proposal. `match_run` compares the corrected result with the labels of
a run and plans an adoption that loses no fact, or lists where one could be lost and what can be chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from covey.curation._fold import PLACE_BITS
from covey.curation._state import ASIDE, CONFIRMED, NEW, PERSON, RUN, BaseRun, Curation, find_rows
from covey.types import NOISE, IntArray

HOME_SHARE: Final = 0.5
"""A new cluster is at home in a known one that gives it at least this share of its known images."""
HEIR_SHARE: Final = 0.3
"""An heir takes at least this share of the known cluster's images."""
SAME_JACCARD: Final = 0.5
"""From this Jaccard index on, a cluster and its heir are the same; below, they are probably so."""
ABSORBED_SHARE: Final = 0.6
"""A part of a merged cluster with at least this share from it does not undo the merge."""
PIN_SHARE: Final = 0.2
"""A run that moves more than this share of a cluster's confirmed images is not followed without asking."""
KEEPING_FACTS: Final = frozenset({"named", "merged", "split", "reviewed", "hidden"})

Choice = Literal["mine", "run"]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What becomes of one cluster.

    Attributes
    ----------
    cluster : int
        Its id after the adoption.
    label : int or None
        The cluster of the new run, None where it has none.
    kind : {"same", "probably", "absorbed", "new", "kept", "gone"}
        Goes on; goes on with under half in common; part of a merged cluster; not known before; not in the run but
        kept because of what a person did; retired.
    n_old, n_new, n_common : int
        Images that no hand moved in the known cluster, in the run's cluster, and in both.
    why : str
        For a person.
    """

    cluster: int
    label: int | None
    kind: str
    n_old: int
    n_new: int
    n_common: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlanConflict:
    """Where a run disagrees with what a person did.

    Attributes
    ----------
    kind : {"merge_undone", "split_undone", "named_gone", "pin_disagrees"}
        What is at stake.
    cluster : int
        The known cluster.
    n_images : int
        Images that are concerned.
    why : str
        For a person.
    mine, run : str
        What is done if the person's choice is kept, which is the default, and if the run's is taken.
    """

    kind: str
    cluster: int
    n_images: int
    why: str
    mine: str
    run: str


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An adoption that has not been made yet.

    Attributes
    ----------
    partition : int
        The run.
    seq : int
        The state for which it was made; another one needs another plan.
    rows : tuple of PlanRow
        By id.
    conflicts : tuple of PlanConflict
        By id.
    ids : mapping of int to int
        The id of each label of the run.
    heirs : tuple of int
        Labels that go on as a known cluster.
    born_of : mapping of int to int
        For new ids, the known cluster that gave most of it.
    retired : tuple of int
        Ids that end.
    images, values : ndarray of shape (m,), dtype int64
        Images whose place does not follow from `ids`, and their places, see `encode_place`.
    n_pinned, n_by_path : int
        Images that a person had placed and that stay there; those that are known again by their path alone.
    """

    partition: int
    seq: int
    rows: tuple[PlanRow, ...]
    conflicts: tuple[PlanConflict, ...]
    ids: Mapping[int, int]
    heirs: tuple[int, ...]
    born_of: Mapping[int, int]
    retired: tuple[int, ...]
    images: IntArray
    values: IntArray
    n_pinned: int
    n_by_path: int

    def payload(self) -> dict[str, Any]:
        """Return what the edit keeps besides its images, JSON-compatible.

        Returns
        -------
        payload : dict
            ``partition``, ``ids`` and ``born_of`` (lists of pairs), ``heirs``, ``retired``, ``counts`` (number of rows
            by kind), ``n_pinned`` and ``n_by_path``.
        """
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.kind] = counts.get(row.kind, 0) + 1
        return {
            "partition": self.partition,
            "ids": [[label, number] for label, number in sorted(self.ids.items())],
            "heirs": list(self.heirs),
            "born_of": [[number, parent] for number, parent in sorted(self.born_of.items())],
            "retired": list(self.retired),
            "counts": counts,
            "n_pinned": self.n_pinned,
            "n_by_path": self.n_by_path,
        }


@dataclass(slots=True, eq=False)
class _Work:
    """What the steps of the plan pass on."""

    curation: Curation
    run: BaseRun
    choice: Choice
    next_id: int
    overlap: NDArray[np.int64]  # (known clusters, labels): images in both, without those that a person moved
    known: list[int]
    labels: list[int]
    ids: dict[int, int] = field(default_factory=dict)
    heirs: dict[int, int] = field(default_factory=dict)  # known cluster -> label
    born_of: dict[int, int] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    only_pins: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    rows: list[PlanRow] = field(default_factory=list)
    conflicts: list[PlanConflict] = field(default_factory=list)


def encode_place(cluster: IntArray, state: IntArray) -> IntArray:
    """Encode a cluster and a state of each image as one number, ``8 cluster + state``.

    Parameters
    ----------
    cluster : ndarray of shape (m,), integer dtype
        Ids of clusters, -1 for none.
    state : ndarray of shape (m,), integer dtype
        States, indices into `STATUSES`.

    Returns
    -------
    places : ndarray of shape (m,), dtype int64
        The numbers.
    """
    return (cluster.astype(np.int64) << PLACE_BITS) | state.astype(np.int64)


def match_run(
    curation: Curation,
    run: BaseRun,
    *,
    next_id: int,
    choice: Choice = "mine",
    successors: IntArray | None = None,
) -> Plan:
    """Plan how a run takes the place of the base.

    Parameters
    ----------
    curation : Curation
        The corrected result.
    run : BaseRun
        The new run.
    next_id : int
        A number that no cluster ever had; new clusters count up from it.
    choice : {"mine", "run"}, default="mine"
        What wins where they conflict; images that a person placed stay in any case, but for ``pin_disagrees`` with
        ``"run"``.
    successors : ndarray of shape (m, 2), dtype int64, optional
        Pairs of an image that is gone and the one that is at its path now: its bytes changed.

    Returns
    -------
    plan : Plan
        Nothing has been changed yet.

    Notes
    -----
    Let M[i, j] count the images of known cluster i in cluster j of the run, those that a person moved not counted: they
    are where the run's features do not put them. Confirmed ones count, else a reviewed cluster would have no heir.
    ``share_new = M[i, j] / |j|`` over the counted images of j, ``share_old = M[i, j] / |i|``.

    1. Home of j is the i with the largest share_new, if that is at least 0.5. Heir of i is the j at home in i with the
       largest M, if share_old is at least 0.3. Since each j has one home at most, this is the assignment that maximizes
       the sum of M, without a solver.
    2. Another j at home in i is absorbed if i was merged by hand and share_new is at least 0.6; else it is new.
    3. A cluster without an heir is kept with its members if a person named, merged, split, reviewed or hid it, else it
       ends. So the border of a split stays where a coarser run does not see it.
    4. Pins come last: images that a person placed stay, and an image is never put into a cluster that it was rejected
       from. A cluster that nobody is left in, and that no hand made, ends.
    """
    work = _count(curation, run, choice, next_id)
    _find_heirs(work)
    _place_others(work)
    _keep_or_retire(work)
    _check_pins(work)
    return _finish(work, successors)


def _count(curation: Curation, run: BaseRun, choice: Choice, next_id: int) -> _Work:
    """Count the images of each known cluster in each label, without those moved: M of shape (n_known, n_labels)."""
    known = [cluster.id for cluster in curation.alive]
    labels = sorted(run.names)
    rows = find_rows(curation.images, run.images)
    is_counted = (curation.state[rows] != PERSON) & (curation.cluster[rows] != NOISE) & (run.labels != NOISE)
    i = np.searchsorted(known, curation.cluster[rows][is_counted])
    j = np.searchsorted(labels, run.labels[is_counted])
    overlap = np.bincount(i * len(labels) + j, minlength=len(known) * len(labels)).reshape(len(known), len(labels))
    return _Work(curation, run, choice, next_id, overlap, known, labels)


def _find_heirs(work: _Work) -> None:
    """Step 1: the home of each label, and the heir of each known cluster."""
    M = work.overlap
    if not M.size:
        return
    n_new, n_old = M.sum(axis=0), M.sum(axis=1)
    home = M.argmax(axis=0)
    is_at_home = M.max(axis=0) >= HOME_SHARE * np.maximum(n_new, 1)
    for row, cluster in enumerate(work.known):
        own = np.flatnonzero(is_at_home & (home == row) & (M[row] >= HEIR_SHARE * max(n_old[row], 1)) & (M[row] > 0))
        if not len(own):
            continue
        column = int(own[M[row, own].argmax()])
        common = int(M[row, column])
        jaccard = common / (n_old[row] + n_new[column] - common)
        kind = "same" if jaccard >= SAME_JACCARD else "probably"
        why = f"{common} of {n_old[row]} images are in cluster {work.labels[column]} of the run"
        work.heirs[cluster] = work.labels[column]
        work.ids[work.labels[column]] = cluster
        work.rows.append(PlanRow(cluster, work.labels[column], kind, int(n_old[row]), int(n_new[column]), common, why))


def _place_others(work: _Work) -> None:
    """Step 2: labels that go on as no known cluster are absorbed by a merged one, or new."""
    M = work.overlap
    for column, label in enumerate(work.labels):
        if label in work.ids:
            continue
        n_new = int(M[:, column].sum())
        row = int(M[:, column].argmax()) if len(work.known) else 0
        common = int(M[row, column]) if len(work.known) else 0
        share = common / max(n_new, 1)
        parent = work.known[row] if common and share >= HOME_SHARE else None
        if parent is not None and parent in work.heirs and "merged" in work.curation.clusters[parent].facts:
            if share < ABSORBED_SHARE:
                work.conflicts.append(_merge_conflict(work, parent, label, common))
            if share >= ABSORBED_SHARE or work.choice == "mine":
                work.ids[label] = parent
                n_old = int(M[row].sum())
                why = f"part of what was merged into {work.curation.clusters[parent].title}"
                work.rows.append(PlanRow(parent, label, "absorbed", n_old, n_new, common, why))
                continue
        number = work.next_id
        work.next_id += 1
        work.ids[label] = number
        if parent is not None:
            work.born_of[number] = parent
        why = (
            f"most of it comes from {work.curation.clusters[parent].title}"
            if parent is not None
            else "not known before"
        )
        work.rows.append(PlanRow(number, label, "new", 0, n_new, common, why))


def _merge_conflict(work: _Work, cluster: int, label: int, n_images: int) -> PlanConflict:
    title = work.curation.clusters[cluster].title
    return PlanConflict(
        "merge_undone",
        cluster,
        n_images,
        f"the run takes {n_images} images out of {title}, which was merged by hand, into its cluster {label}",
        "they stay merged",
        "they are a cluster of their own",
    )


def _keep_or_retire(work: _Work) -> None:
    """Step 3: known clusters without an heir are kept if a person made them what they are, else they end."""
    M = work.overlap
    for row, cluster in enumerate(work.known):
        if cluster in work.heirs:
            continue
        known, n_old = work.curation.clusters[cluster], int(M[row].sum())
        if not known.facts & KEEPING_FACTS:
            work.only_pins.add(cluster)
            continue
        if not _is_border(work, row):
            kind = "split_undone" if "split" in known.facts and not known.is_named_by_hand else "named_gone"
            why = f"no cluster of the run goes on as {known.title}, which a person had {_join(known.facts)}"
            run = "it is kept only for the images that a person placed in it"
            work.conflicts.append(PlanConflict(kind, cluster, n_old, why, "it is kept with its images", run))
            if work.choice == "run":
                work.only_pins.add(cluster)
                continue
        work.kept.add(cluster)
        work.rows.append(PlanRow(cluster, None, "kept", n_old, 0, 0, f"a person had {_join(known.facts)} it"))


def _is_border(work: _Work, row: int) -> bool:
    """Tell whether a cluster is one side of a split whose other side goes on and takes most of its images."""
    known = work.curation.clusters[work.known[row]]
    if "split" not in known.facts or not work.overlap[row].sum():
        return False
    family = {known.id, known.born_of}
    siblings = {
        cluster.id
        for cluster in work.curation.alive
        if cluster.id != known.id and "split" in cluster.facts and {cluster.id, cluster.born_of} & family - {None}
    }
    taken = [work.overlap[row, work.labels.index(work.heirs[number])] for number in siblings & work.heirs.keys()]
    return bool(taken) and max(taken) >= HOME_SHARE * work.overlap[row].sum()


def _join(facts: frozenset[str]) -> str:
    words = sorted(facts & KEEPING_FACTS)
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]


def _check_pins(work: _Work) -> None:
    """Find clusters whose confirmed images the run puts elsewhere."""
    curation = work.curation
    rows = find_rows(curation.images, work.run.images)
    is_confirmed = curation.state[rows] == CONFIRMED
    there = np.array([work.ids.get(label, NOISE) for label in work.run.labels[is_confirmed].tolist()], np.int64)
    own = curation.cluster[rows][is_confirmed]
    for cluster in np.unique(own[own != there]).tolist():
        if cluster in work.kept or cluster in work.only_pins:
            continue  # the run has no such cluster, which is said already
        n_all, n_other = int((own == cluster).sum()), int(((own == cluster) & (there != cluster)).sum())
        if n_other > PIN_SHARE * n_all:
            title = curation.clusters[cluster].title
            why = f"the run puts {n_other} of {n_all} images that were confirmed in {title} elsewhere"
            conflict = PlanConflict(
                "pin_disagrees", cluster, n_other, why, "they stay", "they go where the run has them"
            )
            work.conflicts.append(conflict)
            if work.choice == "run":
                work.released.add(cluster)


def _finish(work: _Work, successors: IntArray | None) -> Plan:
    """Step 4: where each image is in the end, what of it does not follow from the ids, and which clusters end."""
    curation, run = work.curation, work.run
    rows = find_rows(curation.images, run.images)
    to_id = np.full(max(work.labels, default=-1) + 2, NOISE, np.int64)
    for label, number in work.ids.items():
        to_id[label] = number
    # What follows from the ids: shape (n,) each.
    cluster, state = curation.cluster.astype(np.int64), curation.state.astype(np.int64)
    is_free = ~curation.is_pinned
    in_run = np.zeros(len(cluster), bool)
    in_run[rows] = True
    proposed = np.full(len(cluster), NOISE, np.int64)
    proposed[rows] = to_id[run.labels]
    cluster[in_run & is_free], state[in_run & is_free] = proposed[in_run & is_free], RUN
    usual_cluster, usual_state = cluster.copy(), state.copy()
    # What the plan adds to it.
    is_kept = is_free & np.isin(curation.cluster, list(work.kept))
    cluster[is_kept], state[is_kept] = curation.cluster[is_kept], curation.state[is_kept]
    is_released = in_run & (curation.state == CONFIRMED) & np.isin(curation.cluster, list(work.released))
    cluster[is_released], state[is_released] = proposed[is_released], RUN
    n_by_path = _follow_paths(curation, successors, cluster, state)
    is_lost = ~in_run & is_free & np.isin(curation.cluster, list(work.only_pins))
    cluster[is_lost], state[is_lost] = NOISE, NEW
    _respect_rejects(work, cluster, state, rows)
    is_row = (cluster != usual_cluster) | (state != usual_state)
    retired, ids = _retire(work, cluster)
    return Plan(
        partition=run.partition,
        seq=curation.seq,
        rows=tuple(sorted(work.rows, key=lambda row: (row.cluster, row.label or 0))),
        conflicts=tuple(sorted(work.conflicts, key=lambda conflict: conflict.cluster)),
        ids=ids,
        heirs=tuple(sorted(work.heirs.values())),
        born_of={number: parent for number, parent in work.born_of.items() if number in ids.values()},
        retired=retired,
        images=curation.images[is_row],
        values=encode_place(cluster[is_row], state[is_row]),
        n_pinned=int((curation.is_pinned & ~is_released).sum()),
        n_by_path=n_by_path,
    )


def _follow_paths(curation: Curation, successors: IntArray | None, cluster: IntArray, state: IntArray) -> int:
    """Let an image whose bytes changed be where a person had put the earlier one; return how many there are."""
    if successors is None or not len(successors):
        return 0
    old, new = (curation.rows_of(successors[:, column]) for column in (0, 1))
    is_followed = curation.is_pinned[old] & ~curation.is_pinned[new]
    old, new = old[is_followed], new[is_followed]
    cluster[new], state[new] = curation.cluster[old], curation.state[old]
    return len(new)


def _respect_rejects(work: _Work, cluster: IntArray, state: IntArray, rows: IntArray) -> None:
    """Send an image that would be put where it was rejected from to the run's next best, or else aside."""
    second = dict(zip(rows.tolist(), work.run.second.tolist(), strict=True)) if len(work.curation.rejects) else {}
    rejected = {(image, number) for image, number in work.curation.rejects.tolist()}
    for image, row in zip(
        work.curation.rejects[:, 0].tolist(), work.curation.rows_of(work.curation.rejects[:, 0]).tolist(), strict=True
    ):
        if (image, int(cluster[row])) in rejected and state[row] not in (CONFIRMED, ASIDE):
            other = work.ids.get(second.get(row, NOISE), NOISE)
            is_possible = other != NOISE and (image, other) not in rejected
            cluster[row], state[row] = (other, RUN) if is_possible else (NOISE, ASIDE)


def _retire(work: _Work, cluster: IntArray) -> tuple[tuple[int, ...], dict[int, int]]:
    """Return the ids that end, since nobody is left in them, and the ids of labels that have images or go on."""
    used = set(np.unique(cluster).tolist())
    retired = []
    for row, number in enumerate(work.known):
        known = work.curation.clusters[number]
        is_left = number not in used and number not in work.heirs and number not in work.kept
        if is_left or (number not in used and not known.facts & KEEPING_FACTS):
            retired.append(number)
            n_old = int(work.overlap[row].sum())
            work.rows[:] = [entry for entry in work.rows if entry.cluster != number]
            work.rows.append(PlanRow(number, None, "gone", n_old, 0, 0, "the run has no such cluster"))
        elif number in work.only_pins:
            why = "kept for the images that a person placed in it"
            work.rows.append(PlanRow(number, None, "kept", int(work.overlap[row].sum()), 0, 0, why))
    empty = {number for number in work.ids.values() if number not in used and number not in work.curation.clusters}
    work.rows[:] = [entry for entry in work.rows if entry.cluster not in empty]
    gone = empty | set(retired)
    return tuple(retired), {label: number for label, number in work.ids.items() if number not in gone}
