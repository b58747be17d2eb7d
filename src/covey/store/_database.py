"""The connection to ``project.sqlite``: how it is opened, written in transactions, and what text it can hold.

The journal is SQLite's rollback journal, not WAL: a project on a read-only disk can be opened, one file is all there
is to copy, and a killed writer's journal is rolled back by whoever opens the file next.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

_WAIT_S = 30.0
_CACHE_KIB = 64 * 1024


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, read-only if the file or its folder cannot be written; a missing one is made.

    Transactions are explicit (see `transaction`). A writer makes others wait for up to 30 seconds.
    """
    is_writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    uri = f"file:{quote(os.fsencode(path))}?mode={'rwc' if is_writable else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)
    try:
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
