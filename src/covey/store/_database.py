"""The connection to ``project.sqlite``: how it is opened, written in transactions, and what text it can hold.

The journal is SQLite's rollback journal, not WAL: a project on a read-only disk can be opened, one file is all there
is to copy, and a killed writer's journal is rolled back by whoever opens the file next.
"""

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Self
from urllib.parse import quote

from covey._files import parse_json
from covey.errors import ProjectError

_WAIT_S = 30.0
_CACHE_KIB = 64 * 1024
_DAMAGE_WORDS: Final = ("no such", "Could not decode", "has no column", "malformed")
_IDS: Final = re.compile(r"[\w-]{1,128}", re.ASCII)

ID: Final = "id"
"""A kind of column for `read_rows`: an image id, which is the name of a thumbnail's file too."""
PATH: Final = "path"
"""A kind of column for `read_rows`: the bytes of a path."""


class _Cursor(sqlite3.Cursor):
    """A cursor that reports a damaged database as a `ProjectError`; what a disk refuses keeps its own kind."""

    def execute(self, query: str, parameters: Any = ()) -> Self:
        with _damage_errors(self.connection):
            return super().execute(query, parameters)

    def executemany(self, query: str, parameters: Any) -> Self:
        with _damage_errors(self.connection):
            return super().executemany(query, parameters)

    def fetchone(self) -> Any:
        with _damage_errors(self.connection):
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with _damage_errors(self.connection):
            return super().fetchall()

    def __next__(self) -> Any:
        try:  # called for each of a million rows: no context manager
            return super().__next__()
        except sqlite3.DatabaseError as error:
            _check_damage(self.connection, error)
            raise


class _Connection(sqlite3.Connection):
    """A connection whose cursors report damage."""

    subject = "The project"

    def execute(self, query: str, parameters: Any = ()) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(query, parameters)

    def executemany(self, query: str, parameters: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executemany(query, parameters)


@contextmanager
def _damage_errors(connection: sqlite3.Connection) -> Iterator[None]:
    """Turn SQLite's reports of damage into a `ProjectError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        _check_damage(connection, error)
        raise


def _check_damage(connection: sqlite3.Connection, error: sqlite3.DatabaseError) -> None:
    """Raise a `ProjectError` if SQLite reports damage; a full disk, a lock or a bug is none."""
    is_damage = isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _DAMAGE_WORDS)
    if is_damage or type(error) is sqlite3.DatabaseError:
        refuse_damage(connection, str(error).partition("\n")[0])


def refuse_damage(connection: sqlite3.Connection, what: str) -> NoReturn:
    """Raise the `ProjectError` for a database whose content cannot be what covey wrote.

    Parameters
    ----------
    connection : sqlite3.Connection
        From `connect`.
    what : str
        What was found, without a full stop.
    """
    subject = getattr(connection, "subject", "The project")
    raise ProjectError(
        f"{subject} cannot be read, its database is damaged: {what}. Restore project.sqlite from a copy, or cluster "
        "into a new project folder."
    )


def read_rows(
    connection: sqlite3.Connection, query: str, parameters: Any = (), *, kinds: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query whose columns have the kinds that they must have.

    Parameters
    ----------
    connection : sqlite3.Connection
        From `connect`.
    query : str
        A SELECT.
    parameters : sequence or mapping, optional
        For its marks.
    kinds : sequence
        For each column a type, `ID` or `PATH`.

    Yields
    ------
    row : tuple
        As SQLite has it.

    Raises
    ------
    ProjectError
        If a value is of another kind, an id could lead out of the project, or a path holds a zero byte.
    """
    types = tuple({ID: str, PATH: bytes}.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds)
    ids = [column for column, kind in enumerate(kinds) if kind == ID]
    paths = [column for column, kind in enumerate(kinds) if kind == PATH]
    for row in connection.execute(query, parameters):
        if tuple(map(type, row)) != types:
            refuse_damage(connection, f"the row {_shorten(row)} has values of another kind than it must have")
        for column in ids:
            if not _IDS.fullmatch(row[column]):
                refuse_damage(connection, f"{_shorten(row[column])} is not the id of an image")
        for column in paths:
            if not row[column] or b"\0" in row[column]:
                refuse_damage(connection, f"{_shorten(row[column])} is not a path")
        yield row


def read_json(connection: sqlite3.Connection, text: str, kind: type) -> Any:
    """Parse a column of JSON whose value is of one kind, a list or a dict.

    Raises
    ------
    ProjectError
        If it is not.
    """
    try:
        value = parse_json(text)
    except ValueError as error:
        refuse_damage(connection, f"{_shorten(text)} is not JSON ({error})")
    if not isinstance(value, kind):
        refuse_damage(connection, f"{_shorten(text)} is not a JSON {'object' if kind is dict else kind.__name__}")
    return value


def _shorten(value: Any) -> str:
    """Return how a value looks, cut where a message would grow long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, read-only if the file or its folder cannot be written; a missing one is made.

    Transactions are explicit (see `transaction`). A writer makes others wait for up to 30 seconds.
    """
    is_writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    if is_writable:  # SQLite would make it 0644, whatever the umask allows; its journal takes the mode from it
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    uri = f"file:{quote(os.fsencode(path))}?mode={'rw' if is_writable else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None, factory=_Connection)
    connection.subject = f"Project {str(path.parent)!r}"
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # a foreign project's views and triggers get no more rights
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")  # the first look into the file
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.OperationalError):  # SQLite has rolled back by itself when the disk was full
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read all of a block from one state of the database, whatever another process commits in between."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def readable(text: str) -> str:
    r"""Return text that UTF-8 can hold: a byte 0xff of a file name that is not UTF-8 is shown as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
