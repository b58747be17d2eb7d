"""The journal of corrections: the truth in SQLite, and its portable mirror ``edits.jsonl``.

Editing does not take ``project.lock``, which a run holds for hours: an edit is one transaction on tables of its own.
The mirror is one JSON object a line, an edit each: ``seq``, ``uuid``, ``at``, ``author``, ``op``, ``payload``,
``undoes``, and ``images``, a mapping of sha256 to value. It follows the journal; where it lags or is damaged, it is
written anew.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from covey import __version__
from covey._files import atomic_write
from covey.errors import InvalidValueError, ProjectError
from covey.store._database import read_json, read_rows, transaction, utc_now
from covey.store._disk import disk_errors
from covey.store._project import Project
from covey.types import Edit, IntArray

MIRROR = "edits.jsonl"
_TAIL_BYTES = 1 << 16
_KEYS = {"uuid": str, "at": str, "author": str, "op": str, "payload": dict, "images": dict}
_LONGEST_TEXT = 200
_logger = logging.getLogger(__name__)


class Journal:
    """The edits of a project.

    Parameters
    ----------
    project : Project
        Open; it need not be locked.

    Attributes
    ----------
    mirror_path : Path
        The portable copy.
    """

    def __init__(self, project: Project) -> None:
        self._connection = project._connection
        self._subject = f"Project {str(project.root)!r}"
        self.mirror_path = project.root / MIRROR

    def read(self, since: int = 0) -> list[Edit]:
        """Return the edits after a number, in their order.

        Parameters
        ----------
        since : int, default=0
            The last number that is known already.

        Returns
        -------
        edits : list of Edit
            Empty if there are none.
        """
        query = "SELECT seq, uuid, at, author, op, payload, coalesce(undoes, 0) FROM edits WHERE seq > ? ORDER BY seq"
        rows = list(read_rows(self._connection, query, (since,), kinds=(int, str, str, str, str, str, int)))
        query = "SELECT edit, image, value FROM edit_images WHERE edit > ? ORDER BY edit, image"
        touched = list(read_rows(self._connection, query, (since,), kinds=(int, int, int)))
        table = np.array(touched, dtype=np.int64).reshape(-1, 3)
        numbers = [row[0] for row in rows]
        starts, ends = np.searchsorted(table[:, 0], numbers), np.searchsorted(table[:, 0], numbers, side="right")
        return [
            Edit(
                seq,
                uuid,
                at,
                author,
                op,
                read_json(self._connection, payload, dict),
                undoes or None,
                table[start:end, 1],
                table[start:end, 2],
            )
            for (seq, uuid, at, author, op, payload, undoes), start, end in zip(
                rows, starts.tolist(), ends.tolist(), strict=True
            )
        ]

    def last_seq(self) -> int:
        """Return the number of the last edit.

        Returns
        -------
        seq : int
            0 if there is no edit.
        """
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM edits").fetchone()[0])

    def find(self, uuid: str) -> int | None:
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
        row = self._connection.execute("SELECT seq FROM edits WHERE uuid = ?", (uuid,)).fetchone()
        return None if row is None else int(row[0])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep all other writers out while the block reads, decides and appends; all of it is stored or nothing.

        Raises
        ------
        ProjectError
            If the disk refuses, or another process writes for longer than half a minute.
        """
        with disk_errors(f"{self._subject}: the edit"), transaction(self._connection):
            yield

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back what the block appended, and nothing else, if it raises; call it within `writing`."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            self._connection.execute("RELEASE attempt")
            raise
        self._connection.execute("RELEASE attempt")

    def append(
        self,
        op: str,
        payload: Mapping[str, Any],
        *,
        uuid: str,
        author: str,
        undoes: int | None = None,
        at: str | None = None,
        images: IntArray | None = None,
        values: IntArray | None = None,
    ) -> Edit:
        """Append an edit; call it within `writing`.

        Parameters
        ----------
        op : str
            Name of the operation.
        payload : mapping
            Its parameters, JSON-compatible.
        uuid : str
            No other edit of the journal may have it.
        author : str
            ``person``, ``cli``, ``assign`` or ``adopt``.
        undoes : int, optional
            Number of the edit that an ``undo`` takes back.
        at : str, optional
            When: UTC, ISO 8601, to the second; now if not given.
        images, values : ndarray of shape (m,), dtype int64, optional
            As in `covey.types.Edit`; none if not given.

        Returns
        -------
        edit : Edit
            With its number.

        Raises
        ------
        InvalidValueError
            If the payload is not JSON-compatible.
        """
        at = utc_now() if at is None else at
        images = np.zeros(0, np.int64) if images is None else images
        values = np.zeros(0, np.int64) if values is None else values
        seq = self._connection.execute(
            "INSERT INTO edits (uuid, at, author, op, payload, undoes, covey_version) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (uuid, at, author, op, _to_json(payload), undoes, __version__),
        ).lastrowid
        if seq is None:
            raise RuntimeError("SQLite gave the edit no number")
        self._connection.executemany(
            "INSERT INTO edit_images VALUES (?, ?, ?)",
            ((seq, image, value) for image, value in zip(images.tolist(), values.tolist(), strict=True)),
        )
        return Edit(seq, uuid, at, author, op, payload, undoes, images, values)

    def update_mirror(self) -> None:
        """Bring ``edits.jsonl`` up to the journal; a disk that refuses is noted, since no edit is lost by it."""
        try:
            with transaction(self._connection):  # two processes take turns
                self._follow()
        except (OSError, sqlite3.DatabaseError, ProjectError) as error:
            _logger.warning("%s: edits.jsonl lags behind: %s. The next edit writes it anew.", self._subject, error)

    def write_mirror(self, path: Path) -> None:
        """Write all edits to a file, whole or not at all.

        Parameters
        ----------
        path : Path
            The file; one that is there is replaced.

        Raises
        ------
        ProjectError
            If the disk refuses.
        """
        with disk_errors(f"The edits {str(path)!r}"), atomic_write(path) as temporary:
            temporary.write_text("".join(self._lines(self.read())), encoding="utf-8", newline="\n")

    def _follow(self) -> None:
        """Append what the mirror lacks, or write it anew where it does not end with an edit of this journal."""
        known = _last_line(self.mirror_path)
        seq = known.get("seq") if known else None
        is_ours = isinstance(seq, int) and known is not None and self.find(str(known.get("uuid"))) == seq
        if not is_ours or not isinstance(seq, int):
            if self.last_seq():
                self.write_mirror(self.mirror_path)
            return
        missing = self.read(seq)
        if missing:
            with self.mirror_path.open("a", encoding="utf-8", newline="\n") as file:
                file.write("".join(self._lines(missing)))

    def _lines(self, edits: Iterable[Edit]) -> Iterator[str]:
        for edit in edits:
            record = {
                "seq": edit.seq,
                "uuid": edit.uuid,
                "at": edit.at,
                "author": edit.author,
                "op": edit.op,
                "payload": edit.payload,
                "undoes": edit.undoes,
                "images": dict(zip(self._ids(edit.images), edit.values.tolist(), strict=True)),
            }
            yield json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n"

    def _ids(self, images: IntArray) -> list[str]:
        """Return the ids of images, in their order."""
        rows = self._connection.execute(
            "SELECT images.id FROM json_each(?) AS wanted JOIN images ON images.key = wanted.value ORDER BY wanted.key",
            (json.dumps(images.tolist()),),
        )
        return [row[0] for row in rows]


def read_edit_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of edits, such as ``edits.jsonl`` of another copy of the project.

    Parameters
    ----------
    path : Path
        UTF-8, one JSON object a line.

    Returns
    -------
    records : list of dict
        In the order of the file; see `parse_edit_line`.

    Raises
    ------
    InvalidValueError
        If a line is not an edit; the message has its number.
    ProjectError
        If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"The edits {str(path)!r} cannot be read: {error}.") from error
    return [parse_edit_line(line, f"{path}, line {number}") for number, line in enumerate(text.split("\n"), 1) if line]


def parse_edit_line(line: str, where: str) -> dict[str, Any]:
    """Read one line of a file of edits.

    Parameters
    ----------
    line : str
        JSON.
    where : str
        What to call it in a message.

    Returns
    -------
    record : dict
        ``seq``, ``uuid``, ``at``, ``author``, ``op``, ``payload``, ``undoes`` (None or a number) and ``images``
        (sha256 to whole number), all of the right type; what the payload says is not checked here.

    Raises
    ------
    InvalidValueError
        If it is something else.
    """
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"{where} is not JSON: {error}. Nothing was applied.") from error
    is_right = (
        isinstance(record, dict)
        and all(isinstance(record.get(key), kind) for key, kind in _KEYS.items())
        and all(len(record[key]) <= _LONGEST_TEXT for key, kind in _KEYS.items() if kind is str)
        and _is_number(record.get("seq"))
        and (record.get("undoes") is None or _is_number(record["undoes"]))
        and all(_is_number(value) for value in record["images"].values())
        and record["uuid"]
    )
    if not is_right:
        raise InvalidValueError(
            f"{where} is not an edit: it needs seq, uuid, at, author, op, payload, undoes and images. "
            "Nothing was applied."
        )
    return {key: record.get(key) for key in ("seq", "undoes", *_KEYS)}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _to_json(payload: Mapping[str, Any]) -> str:
    try:
        return json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"What the edit says is not JSON-compatible: {error}.") from error


def _last_line(path: Path) -> dict[str, Any] | None:
    """Return the last line of a mirror, None if it has none or does not end with a whole line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            n_bytes = _TAIL_BYTES
            while True:
                start = max(0, size - n_bytes)
                file.seek(start)
                tail = file.read(size - start)
                if start == 0 or b"\n" in tail[:-1]:
                    break
                n_bytes *= 8
        if not tail.endswith(b"\n"):
            return None
        record = json.loads(tail[:-1].rpartition(b"\n")[2])
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
