"""Edits of one copy of a project, made again in another: images are known by their bytes, edits by their uuid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covey.corrections._curate import ProjectCuration
from covey.curation import EditError
from covey.errors import InvalidValueError
from covey.store import read_edit_lines
from covey.types import IntArray


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was taken over from another journal.

    Attributes
    ----------
    n_applied, n_known : int
        Edits that are new here, and those that were here already.
    refused : tuple of (int, str)
        Edits that make no sense here, by their number in the file, with the reason.
    n_missing : int
        Images, counted over all edits, that this project does not have.
    """

    n_applied: int
    n_known: int
    refused: tuple[tuple[int, str], ...]
    n_missing: int


def replay_edits(curation: ProjectCuration, path: Path) -> ReplayReport:
    """Make the edits of a file again, all in one transaction.

    Parameters
    ----------
    curation : ProjectCuration
        Of another copy of the project, in which the same run was made.
    path : Path
        ``edits.jsonl``, or what ``covey edits PROJECT export`` wrote.

    Returns
    -------
    report : ReplayReport
        Edits that were refused are not kept; all others are.

    Raises
    ------
    InvalidValueError
        If a line is not an edit, or the edits start from another run than this project's corrections.
    ProjectError
        If the file cannot be read or the disk refuses.
    """
    records = read_edit_lines(path)
    if not records or records[0]["op"] != "start":
        raise InvalidValueError(f"{str(path)!r} does not begin with the start of a journal; give a whole edits.jsonl.")
    replay = _Replay(curation, {record["seq"]: record["uuid"] for record in records})
    with curation.writing_many():
        replay.begin(records[0])
        for record in records[1:]:
            replay.take(record)
    return ReplayReport(replay.n_applied, replay.n_known, tuple(replay.refused), replay.n_missing)


class _Replay:
    """Counts what becomes of each edit."""

    def __init__(self, curation: ProjectCuration, uuids: Mapping[int, str]) -> None:
        self._curation, self._uuids = curation, uuids
        self._start: int | None = None
        self._keys = curation.keys_by_id()
        self.n_applied = self.n_known = self.n_missing = 0
        self.refused: list[tuple[int, str]] = []

    def begin(self, record: Mapping[str, Any]) -> None:
        """Start from the same run, or see that the corrections here do."""
        self._start = record["seq"]
        if self._curation.begin_like(record["payload"], record["uuid"], record["author"], record["at"]):
            self.n_applied += 1
        else:
            self.n_known += 1

    def take(self, record: Mapping[str, Any]) -> None:
        """Make one edit again, unless it is here already or makes no sense here."""
        if self._curation.find_seq(record["uuid"]) is not None:
            self.n_known += 1
            return
        images, values, n_missing = self._translate(record["images"])
        self.n_missing += n_missing
        if n_missing and not len(images):
            self.refused.append((record["seq"], f"none of its {n_missing} images is in this project"))
            return
        try:
            payload, undoes = self._renumber(record)
            self._curation.append_foreign({**record, "payload": payload, "undoes": undoes}, images, values)
            self.n_applied += 1
        except EditError as error:
            self.refused.append((record["seq"], str(error)))

    def _translate(self, images: Mapping[str, int]) -> tuple[IntArray, IntArray, int]:
        """Return keys, rising, and values of the images that are here, and how many are not."""
        pairs = sorted((self._keys[image_id], value) for image_id, value in images.items() if image_id in self._keys)
        table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1], len(images) - len(pairs)

    def _renumber(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
        """Return the payload and the undone edit with the numbers that the named edits have here."""
        payload = dict(record["payload"])
        if record["op"] != "undo":
            return payload, None
        if "also" in payload:
            payload["also"] = self._here(payload["also"])
        return payload, self._here([record["undoes"]])[0]

    def _here(self, numbers: Sequence[object]) -> list[int]:
        found = []
        for number in numbers if isinstance(numbers, (list, tuple)) else [None]:
            seq = self._curation.find_seq(self._uuids.get(number, "")) if isinstance(number, int) else None
            if seq is None or number == self._start:
                raise EditError("unknown", f"it undoes the edit {number!r}, which is not here")
            found.append(seq)
        return found
