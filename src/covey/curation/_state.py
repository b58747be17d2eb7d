"""The records of a corrected result, and the writable form in which edits are applied.

`Curation` is what everybody reads: frozen, its arrays read-only. `Draft` holds the same things open to change; the fold
makes one, applies every edit to it, and freezes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from covey.errors import InvalidValueError
from covey.types import NOISE, IntArray

RUN, PERSON, CONFIRMED, ASSIGNED, ASIDE, NEW = range(6)
STATUSES: Final = ("run", "hand", "confirmed", "assigned", "aside", "new")
"""What the states are called in tables: where a run put an image, moved by a person, confirmed by a person, assigned
later, set aside as not sure, or newer than the base run and in no cluster."""


class EditError(InvalidValueError):
    """An edit is refused, or no longer makes sense at its place in the journal.

    Parameters
    ----------
    code : {"bad_request", "unknown", "retired", "name_taken", "changed", "not_allowed", "no_features"}
        What kind of refusal.
    message : str
        What came, what is allowed, what to do.
    allowed : object, optional
        What can be done in place of it, e.g. the cluster that has the name already.
    """

    def __init__(self, code: str, message: str, allowed: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.allowed = allowed


@dataclass(frozen=True, slots=True, eq=False)
class BaseRun:
    """One partition as the fold needs it.

    Attributes
    ----------
    partition : int
        Its id.
    images : ndarray of shape (m,), dtype int64
        Keys of its images, rising.
    labels, second : ndarray of shape (m,), dtype int32
        Cluster and next best cluster; -1 for none.
    confidence : ndarray of shape (m,), dtype float32
        In [0, 1].
    names : mapping of int to str
        Words of each cluster by label, empty where nothing named it; the keys are all labels that hold an image.
    """

    partition: int
    images: IntArray
    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    second: NDArray[np.int32]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class CuratedCluster:
    """One cluster of the corrected result, alive or retired.

    Attributes
    ----------
    id : int
        For ever: a label of the first base run, or a number that no cluster had before.
    name : str
        By hand, or else that of the run; empty if neither gave one.
    run_name : str
        What the run calls it.
    is_named_by_hand : bool
        Whether a person gave the name.
    group : int or None
        The coarse group that it belongs to.
    is_reviewed, is_hidden : bool
        What a person said of it.
    reviewed_at : str
        When; empty if it was not reviewed.
    is_retired : bool
        Whether it is gone.
    merged_into : int or None
        Where its images went, if it was merged.
    born_of : int or None
        The cluster that it was split from.
    facts : frozenset of str
        What a person did and a newer run has to respect: ``named``, ``merged``, ``split``, ``reviewed``, ``hidden``.
    """

    id: int
    name: str
    run_name: str = ""
    is_named_by_hand: bool = False
    group: int | None = None
    is_reviewed: bool = False
    reviewed_at: str = ""
    is_hidden: bool = False
    is_retired: bool = False
    merged_into: int | None = None
    born_of: int | None = None
    facts: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Return the words for a person: the name, or the number."""
        return self.name or f"Cluster {self.id}"


@dataclass(frozen=True, slots=True, eq=False)
class Curation:
    """The corrected result.

    Attributes
    ----------
    images : ndarray of shape (n,), dtype int64
        Keys of all images of the project, rising.
    cluster : ndarray of shape (n,), dtype int32
        Id of each image's cluster, -1 for none.
    state : ndarray of shape (n,), dtype uint8
        ``RUN``, ``PERSON``, ``CONFIRMED``, ``ASSIGNED``, ``ASIDE`` or ``NEW``; an index into `STATUSES`.
    score : ndarray of shape (n,), dtype float32
        The confidence of the base run; it says nothing about an image that an edit has moved.
    second : ndarray of shape (n,), dtype int32
        Id of the next best cluster according to the base run, -1 for none.
    base_cluster : ndarray of shape (n,), dtype int32
        Id of the cluster in which the base run put it, -1 for none.
    rejects : ndarray of shape (m, 2), dtype int64
        Pairs of image and cluster that a person said do not belong together, sorted.
    clusters : mapping of int to CuratedCluster
        By id, retired ones too.
    groups : mapping of int to str
        Names of coarse groups by id.
    base : int
        The partition that it starts from.
    seq : int
        The last edit that it has seen.
    """

    images: IntArray
    cluster: NDArray[np.int32]
    state: NDArray[np.uint8]
    score: NDArray[np.float32]
    second: NDArray[np.int32]
    base_cluster: NDArray[np.int32]
    rejects: IntArray
    clusters: Mapping[int, CuratedCluster]
    groups: Mapping[int, str]
    base: int
    seq: int

    @property
    def is_pinned(self) -> NDArray[np.bool_]:
        """Return for each image whether a person placed it, shape (n,)."""
        return np.isin(self.state, (PERSON, CONFIRMED, ASIDE))

    @property
    def alive(self) -> list[CuratedCluster]:
        """Return the clusters that are not retired, by id."""
        return [cluster for cluster in self.clusters.values() if not cluster.is_retired]

    def rows_of(self, images: IntArray) -> IntArray:
        """Return the rows of images by key.

        Parameters
        ----------
        images : ndarray of shape (m,), dtype int64
            Keys, in any order.

        Returns
        -------
        rows : ndarray of shape (m,), dtype int64
            For each key its row in `images` of the curation.

        Raises
        ------
        EditError
            If a key is unknown.
        """
        return find_rows(self.images, images)

    def members(self, cluster: int) -> IntArray:
        """Return the rows of a cluster's images.

        Parameters
        ----------
        cluster : int
            Id of the cluster; -1 for the images in no cluster.

        Returns
        -------
        rows : ndarray of shape (m,), dtype int64
            Rising; empty if no image is in the cluster.
        """
        return np.flatnonzero(self.cluster == cluster)

    def sizes(self) -> dict[int, int]:
        """Return the size of each cluster that is not retired.

        Returns
        -------
        sizes : dict of int to int
            Number of images by id of the cluster, 0 for an empty one.
        """
        found, counts = np.unique(self.cluster, return_counts=True)
        counted = dict(zip(found.tolist(), counts.tolist(), strict=True))
        return {cluster.id: counted.get(cluster.id, 0) for cluster in self.alive}

    def touched(self) -> set[int]:
        """Return the clusters, not retired, that hold other images than in the base run.

        Returns
        -------
        ids : set of int
            Ids of clusters that an image has left or joined.
        """
        is_other = self.cluster != self.base_cluster
        ids = {*self.cluster[is_other].tolist(), *self.base_cluster[is_other].tolist()}
        return {cluster.id for cluster in self.alive if cluster.id in ids}


@dataclass(slots=True, eq=False)
class Draft:
    """A curation that edits are being applied to; its fields are those of `Curation`, but can be written to."""

    images: IntArray
    cluster: NDArray[np.int32]
    state: NDArray[np.uint8]
    score: NDArray[np.float32]
    second: NDArray[np.int32]
    base_cluster: NDArray[np.int32]
    clusters: dict[int, CuratedCluster]
    groups: dict[int, str]
    base: int
    seq: int = 0
    rejects: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def begin(cls, images: IntArray, run: BaseRun) -> "Draft":
        """Start from a run: each image where the run put it, those that it does not hold are new."""
        n = len(images)
        draft = cls(
            images=images,
            cluster=np.full(n, NOISE, np.int32),
            state=np.full(n, NEW, np.uint8),
            score=np.zeros(n, np.float32),
            second=np.full(n, NOISE, np.int32),
            base_cluster=np.full(n, NOISE, np.int32),
            clusters={label: CuratedCluster(label, name, name) for label, name in sorted(run.names.items())},
            groups={},
            base=run.partition,
        )
        rows = find_rows(images, run.images)
        draft.cluster[rows] = draft.base_cluster[rows] = run.labels
        draft.state[rows] = RUN
        draft.score[rows], draft.second[rows] = run.confidence, run.second
        return draft

    @classmethod
    def thaw(cls, curation: Curation) -> "Draft":
        """Copy a curation so that an edit can be applied to it."""
        return cls(
            images=curation.images,
            cluster=curation.cluster.copy(),
            state=curation.state.copy(),
            score=curation.score.copy(),
            second=curation.second.copy(),
            base_cluster=curation.base_cluster.copy(),
            clusters=dict(curation.clusters),
            groups=dict(curation.groups),
            base=curation.base,
            seq=curation.seq,
            rejects={(image, cluster) for image, cluster in curation.rejects.tolist()},
        )

    def freeze(self) -> Curation:
        """Return the curation; the draft must not be written to afterwards."""
        arrays = {name: getattr(self, name) for name in ("cluster", "state", "score", "second", "base_cluster")}
        for array in arrays.values():
            array.flags.writeable = False
        rejects = np.array(sorted(self.rejects), dtype=np.int64).reshape(-1, 2)
        rejects.flags.writeable = False
        return Curation(
            images=self.images,
            rejects=rejects,
            clusters=MappingProxyType(dict(sorted(self.clusters.items()))),
            groups=MappingProxyType(dict(sorted(self.groups.items()))),
            base=self.base,
            seq=self.seq,
            **arrays,
        )

    def change(self, cluster: int, *, fact: str = "", **values: Any) -> None:
        """Set fields of a cluster, and note a fact about it."""
        known = self.clusters[cluster]
        facts = known.facts | {fact} if fact else known.facts
        self.clusters[cluster] = replace(known, facts=facts, **values)

    def rows_of(self, images: IntArray) -> IntArray:
        """Return the rows of images by key; `EditError` if one is unknown."""
        return find_rows(self.images, images)


def find_rows(images: IntArray, wanted: IntArray) -> IntArray:
    """Return where `wanted` keys are in the rising `images`, shape of `wanted`; `EditError` if one is not."""
    rows = np.searchsorted(images, wanted)
    found = np.zeros(len(rows), bool)
    inside = rows < len(images)
    found[inside] = images[rows[inside]] == wanted[inside]
    if not found.all():
        n_unknown = int((~found).sum())
        raise EditError("unknown", f"{n_unknown} of {len(wanted)} images are not in the project; name known ones.")
    return rows.astype(np.int64)
