"""The journal and what it amounts to, kept in step: reading what others edited, and appending in one transaction."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from covey.corrections._resolve import Resolver
from covey.curation import (
    BaseRun,
    Curation,
    EditError,
    Fold,
    Request,
    RequestMaker,
    StrandedEdit,
    apply_edit,
    describe_edit,
    find_later,
    fold,
    is_live,
    start_partition,
)
from covey.errors import InvalidValueError, ProjectError
from covey.store import Journal, Project, count_images, read_image_keys, read_run_arrays
from covey.types import NOISE, Edit, IntArray

MAX_PAYLOAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class EditReport:
    """What an edit did.

    Attributes
    ----------
    seq : int
        Its number; `ProjectCuration.undo` takes it.
    op : str
        The operation.
    summary : str
        One line for a person.
    n_images : int
        Images that it touched by choice.
    n_unchanged : int
        Images that were named but were already as asked for.
    is_new : bool
        False if an edit with the same uuid was stored before; then nothing happened.
    """

    seq: int
    op: str
    summary: str
    n_images: int
    n_unchanged: int = 0
    is_new: bool = True


class Editor:
    """Keeps a journal and the arrays that it amounts to in step; `ProjectCuration` adds the operations.

    Parameters
    ----------
    project : Project
        Open.
    author : str
        Who the journal says made the edits.
    """

    _known: Fold

    def __init__(self, project: Project, *, author: str) -> None:
        self._project, self._author = project, author
        self._journal = Journal(project)
        self._runs: dict[int, BaseRun] = {}
        self._edits: list[Edit] = []
        self._ids: list[str] = []
        self._is_current = False
        self.refresh()

    @property
    def state(self) -> Curation:
        """The arrays as they are after the last edit that is known here."""
        return self._known.curation

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The journal, oldest first; empty before the first edit."""
        return tuple(self._edits)

    @property
    def undone(self) -> frozenset[int]:
        """Numbers of the edits that an undo took back."""
        return self._known.undone

    @property
    def stranded(self) -> tuple[StrandedEdit, ...]:
        """Edits that no longer make sense and are left out."""
        return self._known.stranded

    @property
    def is_started(self) -> bool:
        """Whether there is an edit; before the first one this is the latest run."""
        return bool(self._edits)

    def history(self) -> list[tuple[Edit, str, bool]]:
        """Return each edit with a line for a person and whether it is undone, oldest first.

        Returns
        -------
        history : list of (Edit, str, bool)
            The edit, the line, and True if an undo took it back.
        """
        return [(edit, describe_edit(edit, self.state.clusters), edit.seq in self.undone) for edit in self._edits]

    def refresh(self) -> None:
        """Take in what other processes have edited, and images that a scan has found, since."""
        n_images = count_images(self._project)
        if n_images != len(self._ids):
            self._images, self._ids = read_image_keys(self._project)
            self._resolver = Resolver(self._project, self._images, self._ids)
            self._is_current = False
        missing = self._journal.read(self._edits[-1].seq if self._edits else 0)
        self._edits += missing
        if self._is_current and not self._edits:  # the latest run may be another one now
            self._is_current = self._known.curation.base == self._project.partition_info().id
        if missing or not self._is_current:
            self._fold_again()

    def start(self, partition_id: int | None = None, *, uuid: str | None = None) -> EditReport:
        """Begin to correct a run, the latest if none is named; the first edit does this by itself.

        Parameters
        ----------
        partition_id : int, optional
            The run; the latest if not given.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            Of the edit ``start``.

        Raises
        ------
        InvalidValueError
            If the corrections have started already.
        ProjectError
            If the run is unknown, or the journal cannot be written.
        """
        uuid = str(uuid4()) if uuid is None else uuid
        run = self._project.partition_info(partition_id)
        with self._journal.writing():
            self.refresh()
            if self._edits:
                raise InvalidValueError(
                    f"The corrections have started from run {self._edits[0].payload.get('run')} already; adopt run "
                    f"{run.name} to take it in its place."
                )
            edit = self._append_start(run.id, self._author, uuid)
        self.refresh()
        self._journal.update_mirror()
        return self._report(edit)

    @contextmanager
    def writing_many(self) -> Iterator[None]:
        """Keep all other writers out while the block appends edits of another journal: all or, on error, none."""
        before = list(self._edits), self._known
        try:
            with self._journal.writing():
                self.refresh()
                before = list(self._edits), self._known
                self._check_understood()
                yield
        except BaseException:
            self._edits, self._known = before
            raise
        self._journal.update_mirror()

    def keys_by_id(self) -> dict[str, int]:
        """Return the key of each image by its id.

        Returns
        -------
        keys : dict of str to int
            Of all images that the project ever knew.
        """
        return dict(zip(self._ids, self._images.tolist(), strict=True))

    def find_seq(self, uuid: str) -> int | None:
        """Return the number of the edit with a uuid.

        Parameters
        ----------
        uuid : str
            The uuid.

        Returns
        -------
        seq : int or None
            None if no edit has it.
        """
        return self._journal.find(uuid)

    def begin_like(self, payload: Mapping[str, Any], uuid: str, author: str, at: str) -> bool:
        """Start from the run that another journal starts from, within `writing_many`.

        Parameters
        ----------
        payload : mapping
            Of its first edit, as in `covey.types.Edit`; ``partition``, ``run``, ``created_at`` and ``n_images``
            are read.
        uuid : str
            Of that edit.
        author : str
            Who made it.
        at : str
            When: UTC, ISO 8601.

        Returns
        -------
        is_new : bool
            False if the corrections start from this run already.

        Raises
        ------
        InvalidValueError
            If this project has no such run, or its corrections start from another one.
        """
        known = {info.id: info for info in self._project.partitions()}
        info = known.get(payload.get("partition", -1)) if isinstance(payload.get("partition"), int) else None
        recorded = (payload.get("run"), payload.get("created_at"), payload.get("n_images"))
        if info is None or (info.name, info.created_at, info.n_images) != recorded:
            raise InvalidValueError(
                f"The edits start from run {recorded[0]!r} of {recorded[1]}, which this project does not have; apply "
                "them to a copy of the project that they were made in."
            )
        if self._edits and start_partition(self._edits[0]) != info.id:
            raise InvalidValueError(
                f"The edits start from run {info.name!r}, the corrections of this project from "
                f"{self._edits[0].payload.get('run')!r}; the two do not fit."
            )
        if self._edits:
            return False
        self._take(self._journal.append("start", dict(payload), uuid=uuid, author=author, at=at))
        return True

    def append_foreign(self, record: Mapping[str, Any], images: IntArray, values: IntArray) -> Edit:
        """Append an edit of another journal, within `writing_many`.

        Parameters
        ----------
        record : mapping
            ``op``, ``payload``, ``uuid``, ``author``, ``at`` and ``undoes``, in the numbers of this journal.
        images, values : ndarray of shape (m,), dtype int64
            Of the images that are here, by rising key.

        Returns
        -------
        edit : Edit
            With its number here.

        Raises
        ------
        EditError
            If it makes no sense here; then it is not kept.
        """
        if record["op"] == "start":
            raise EditError("bad_request", "A journal has one start only.")
        with self._journal.attempt():
            edit = self._journal.append(
                record["op"],
                record["payload"],
                uuid=record["uuid"],
                author=record["author"],
                at=record["at"],
                undoes=record["undoes"],
                images=images,
                values=values,
            )
            self._take(edit)
        return edit

    def _edit(
        self,
        make_request: Callable[[RequestMaker], Request],
        uuid: str | None,
        *,
        undoes: bool = False,
        author: str | None = None,
    ) -> EditReport:
        """Check an edit against the newest state and append it, in one transaction."""
        uuid = str(uuid4()) if uuid is None else uuid
        self.refresh()
        before = list(self._edits), self._known
        try:
            with self._journal.writing():
                self.refresh()
                before = list(self._edits), self._known
                known = self._journal.find(uuid)
                if known is not None:
                    return self._report(next(edit for edit in self._edits if edit.seq == known), is_new=False)
                self._check_understood()
                if not self._edits:
                    self._take(self._append_start(self.state.base, self._author, str(uuid4())))
                request = make_request(RequestMaker(self.state, self._edits))
                edit = self._append(request, uuid, self._author if author is None else author, undoes=undoes)
                self._take(edit)
        except BaseException:
            self._edits, self._known = before  # what was appended in here is rolled back
            raise
        self._journal.update_mirror()
        return self._report(edit, n_unchanged=request.n_unchanged)

    def _append(self, request: Request, uuid: str, author: str, *, undoes: bool) -> Edit:
        payload = dict(request.payload)
        target = payload.pop("undoes") if undoes else None
        edit = self._journal.append(
            request.op,
            payload,
            uuid=uuid,
            author=author,
            undoes=target,
            images=request.images,
            values=request.values,
        )
        if author not in ("adopt", "assign") and len(json.dumps(payload)) > MAX_PAYLOAD_BYTES:
            raise EditError("bad_request", f"The edit says more than {MAX_PAYLOAD_BYTES} bytes; make several of it.")
        return edit

    def _append_start(self, partition_id: int, author: str, uuid: str) -> Edit:
        info = self._project.partition_info(partition_id)
        payload = {
            "partition": info.id,
            "run": info.name,
            "created_at": info.created_at,
            "n_images": info.n_images,
        }
        return self._journal.append("start", payload, uuid=uuid, author=author)

    def _take(self, edit: Edit) -> None:
        """Let an edit that was just appended have its effect here; `EditError` if it does not fit."""
        if edit.op in ("start", "adopt", "undo"):
            known = self._known
            known_seqs = {stranded.seq for stranded in known.stranded}
            self._edits.append(edit)
            self._fold_again()
            added = [stranded for stranded in self._known.stranded if stranded.seq not in known_seqs]
            if added and edit.op != "start":
                self._edits.pop()
                self._known = known
                raise EditError(added[0].code, added[0].why)
            return
        curation = apply_edit(self.state, edit)
        self._edits.append(edit)
        self._known = Fold(curation, self._known.stranded, self._known.undone)

    def _fold_again(self) -> None:
        if self._edits:
            self._known = fold(self._images, self._load, self._edits)
        else:
            latest = self._project.partition_info().id
            start = Edit(0, "", "", "", "start", {"partition": latest}, None, *(np.zeros(0, np.int64),) * 2)
            self._known = fold(self._images, self._load, [start])
        self._is_current = True

    def _load(self, partition_id: int) -> BaseRun:
        if partition_id not in self._runs:
            arrays = read_run_arrays(self._project, partition_id)
            names = {
                cluster.label: "" if cluster.name.name == f"Cluster {cluster.label}" else cluster.name.name.strip()
                for cluster in self._project.clusters(partition_id)
                if cluster.label != NOISE
            }
            self._runs[partition_id] = BaseRun(
                partition_id, arrays.images, arrays.labels, arrays.confidence, arrays.second, names
            )
        return self._runs[partition_id]

    def _check_understood(self) -> None:
        unknown = [edit for edit in self.stranded if edit.code == "not_allowed"]
        if unknown:
            raise ProjectError(
                f"Project {str(self._project.root)!r} has an edit ({unknown[0].seq}) of a newer covey, so this one "
                "only reads the corrections. Upgrade covey to edit."
            )

    def _request_undo(self, seq: int | None, also: Collection[int] | None, _: RequestMaker | None = None) -> Request:
        target = self._find_undoable(seq)
        payload: dict[str, Any] = {"undoes": target.seq}
        later = find_later(self._images, self._load, self._edits, target.seq, self._known.stranded)
        again = next((edit for edit in later if edit.seq == target.undoes), None)
        if again is not None:
            raise EditError("changed", f"Edit {again.seq} cannot be redone: {again.why}")
        taken = {edit.seq for edit in later} if also is None else set(also)
        missing = [edit for edit in later if edit.seq not in taken]
        if missing:
            named = {edit.seq: edit for edit in self._edits}
            is_redo = target.op == "undo"
            what = f"Edit {target.undoes} does not go with" if is_redo else f"Other edits depend on edit {target.seq}"
            listed = "; ".join(f"{edit.seq} {describe_edit(named[edit.seq], self.state.clusters)}" for edit in missing)
            raise EditError(
                "changed",
                f"{what}: {listed}. Undo them first, or take them along (--with-later).",
                [edit.seq for edit in missing],
            )
        if taken:
            payload["also"] = sorted(taken & {edit.seq for edit in later})
        return Request("undo", payload)

    def _find_undoable(self, seq: int | None) -> Edit:
        live = [edit for edit in self._edits if is_live(edit, self.undone)]
        if seq is None:
            if not live:
                raise EditError("bad_request", "No edit is in effect; there is nothing to undo.")
            return live[-1]
        found = next((edit for edit in self._edits if edit.seq == seq), None)
        if found is None or found.op == "start":
            last = self._edits[-1].seq if self._edits else 0
            raise EditError("unknown", f"There is no edit {seq} that can be undone; the last one is {last}.")
        if found.seq in self.undone:
            raise EditError("bad_request", f"Edit {seq} is undone already; redo it, or choose another one.")
        adopted = [edit.seq for edit in live if edit.op == "adopt"]
        effect = found.undoes if found.undoes is not None else found.seq
        if adopted and effect < adopted[-1] and found.seq != adopted[-1]:
            raise EditError(
                "not_allowed",
                f"Edit {seq} lies before another run was adopted (edit {adopted[-1]}), which built upon it. Undo that "
                "one first, or move the images.",
            )
        return found

    def _report(self, edit: Edit, *, n_unchanged: int = 0, is_new: bool = True) -> EditReport:
        summary = describe_edit(edit, self.state.clusters)
        return EditReport(edit.seq, edit.op, summary, len(edit.images), n_unchanged, is_new)
