"""The schema of ``project.sqlite`` as numbered steps, each a function that is never changed once it is released.

A file records the steps it has taken, so an old one is brought up to date when it is opened, and a newer one is
recognized. Text is UTF-8; paths are the bytes of the operating system, because a file name need not be UTF-8.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from covey import __version__
from covey.errors import ProjectError
from covey.store._database import connect, transaction, utc_now
from covey.store._disk import disk_errors

APPLICATION_ID: Final = 0x434F5645
"""What marks an SQLite file as a covey project: ``COVE`` in ASCII, at byte 68 of the file."""


def m001_images(connection: sqlite3.Connection) -> None:
    """Make the tables of what was found: scans, their sources, images, and the paths that hold them.

    A row of ``files`` is a path. ``image`` is NULL where its bytes could not be taken as an image; ``code`` is NULL
    where nothing is wrong with it. So each path is an image, a further copy of one, or a failure, and the ledger adds
    up by construction. Here and in ``assignments``, ``image`` is a key of ``images`` that the writer has just looked
    up; SQLite is not asked to look it up once more, which takes as long as the row itself (3.5 of 7 µs).
    """
    connection.execute("""
        CREATE TABLE scans (
            id INTEGER PRIMARY KEY,
            finished_at TEXT NOT NULL,
            image_root BLOB NOT NULL,
            covey_version TEXT NOT NULL
        )""")
    connection.execute("""
        CREATE TABLE sources (
            scan INTEGER NOT NULL REFERENCES scans (id),
            position INTEGER NOT NULL,
            path BLOB NOT NULL,
            PRIMARY KEY (scan, position)
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE images (
            key INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            last_path BLOB NOT NULL
        )""")
    connection.execute("""
        CREATE TABLE files (
            path BLOB PRIMARY KEY,
            image INTEGER,
            scan INTEGER NOT NULL REFERENCES scans (id),
            is_present INTEGER NOT NULL,
            n_bytes INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            code TEXT,
            message TEXT,
            failed_id TEXT,
            CHECK (image IS NOT NULL OR code IS NOT NULL)
        ) WITHOUT ROWID""")
    connection.execute("CREATE INDEX files_by_image ON files (image)")


def m002_partitions(connection: sqlite3.Connection) -> None:
    """Make the tables of what was clustered: partitions, their clusters, and each image's place.

    ``rank`` numbers the images of a cluster from the surest on, so that any page of them is one stretch of the primary
    key; ``position`` is the row of the partition's arrays.
    """
    connection.execute("""
        CREATE TABLE partitions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            created_at TEXT NOT NULL,
            method TEXT NOT NULL,
            params TEXT NOT NULL,
            info TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            n_images INTEGER NOT NULL,
            n_clusters INTEGER NOT NULL,
            has_probabilities INTEGER NOT NULL,
            covey_version TEXT NOT NULL
        )""")
    connection.execute("""
        CREATE TABLE clusters (
            partition INTEGER NOT NULL REFERENCES partitions (id),
            label INTEGER NOT NULL,
            name TEXT NOT NULL,
            name_score REAL NOT NULL,
            runners_up TEXT NOT NULL,
            size INTEGER NOT NULL,
            mean_confidence REAL NOT NULL,
            cohesion REAL NOT NULL,
            nearest_label INTEGER NOT NULL,
            representatives TEXT NOT NULL,
            borderline TEXT NOT NULL,
            PRIMARY KEY (partition, label)
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE assignments (
            partition INTEGER NOT NULL REFERENCES partitions (id),
            label INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            image INTEGER NOT NULL,
            position INTEGER NOT NULL,
            confidence REAL NOT NULL,
            second_label INTEGER NOT NULL,
            PRIMARY KEY (partition, label, rank)
        ) WITHOUT ROWID""")


def m003_names(connection: sqlite3.Connection) -> None:
    """Make room for the scores of a cluster's further names, and for what named the clusters of a partition."""
    connection.execute("ALTER TABLE clusters ADD COLUMN runner_up_scores TEXT NOT NULL DEFAULT '[]'")
    connection.execute("ALTER TABLE partitions ADD COLUMN naming TEXT NOT NULL DEFAULT '{}'")


def m004_edits(connection: sqlite3.Connection) -> None:
    """Make the journal of corrections: edits, and the images that each one touches.

    ``payload`` is JSON without any list of images. ``value`` of an image is a cluster, the number of a part, or a
    place, as the operation has it (`covey.curation`). Nothing that follows from the journal is stored.
    """
    connection.execute("""
        CREATE TABLE edits (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            uuid TEXT NOT NULL UNIQUE,
            at TEXT NOT NULL,
            author TEXT NOT NULL,
            op TEXT NOT NULL,
            payload TEXT NOT NULL,
            undoes INTEGER REFERENCES edits (seq),
            covey_version TEXT NOT NULL
        )""")
    connection.execute("""
        CREATE TABLE edit_images (
            edit INTEGER NOT NULL REFERENCES edits (seq),
            image INTEGER NOT NULL,
            value INTEGER NOT NULL,
            PRIMARY KEY (edit, image)
        ) WITHOUT ROWID""")


def m005_pixels(connection: sqlite3.Connection) -> None:
    """Make room for what reading an image tells: equal pixels, notes, raw files beside a JPEG, and what was left out.

    ``pixels`` is the hash of the decoded pixels of an image that looks like another one, NULL for any other: rows with
    equal ``pixels`` are one image with several files. ``notes`` is a JSON list of pairs, code and message.
    ``is_companion`` marks a camera's raw file that counts as a path of the JPEG beside it. ``left_out`` is a JSON
    object of counts by kind. ``good_files`` are the files that hold an image now.
    """
    connection.execute("ALTER TABLE images ADD COLUMN pixels TEXT")
    connection.execute("ALTER TABLE images ADD COLUMN notes TEXT NOT NULL DEFAULT '[]'")
    connection.execute("CREATE INDEX images_by_pixels ON images (pixels) WHERE pixels IS NOT NULL")
    connection.execute("ALTER TABLE files ADD COLUMN is_companion INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE scans ADD COLUMN left_out TEXT NOT NULL DEFAULT '{}'")
    connection.execute("""
        CREATE VIEW good_files AS
        SELECT path, image, n_bytes, mtime_ns, is_companion FROM files WHERE is_present AND code IS NULL""")


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    m001_images,
    m002_partitions,
    m003_names,
    m004_edits,
    m005_pixels,
)
"""Step i takes a file from schema i to schema i + 1."""


def open_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the database of a project and bring it up to date, or say why that cannot be.

    Parameters
    ----------
    path : Path
        The file; its folder is made too, if `create` allows it.
    create : bool
        Whether a missing or empty file may become a project.

    Returns
    -------
    connection : sqlite3.Connection
        Read-only where the file cannot be written.

    Raises
    ------
    ProjectError
        If there is no project and none may be made, a newer covey has written it, or it cannot be read.
    """
    subject = f"Project {str(path.parent)!r}"
    _check_folder(path, create=create)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path)
    except (OSError, sqlite3.DatabaseError) as error:
        raise ProjectError(f"{subject} cannot be opened: {error}.") from error
    try:
        _bring_up_to_date(connection, subject, create=create)
    except BaseException:
        connection.close()
        raise
    return connection


def read_schema(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return the schema of a database and the version of covey that brought it there; (0, "") if it is empty.

    Raises
    ------
    ValueError
        If the file belongs to another program.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        row = connection.execute(
            "SELECT version, covey_version FROM migrations ORDER BY version DESC LIMIT 1"
        ).fetchone()
        return int(row[0]), str(row[1])
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ValueError("its database belongs to another program")
    return 0, ""


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that a database lacks, each in a transaction of its own."""
    for version, step in enumerate(MIGRATIONS, start=1):
        with transaction(connection):
            if read_schema(connection)[0] >= version:  # asked within the transaction: another process may be faster
                continue
            _start_record(connection)
            step(connection)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?, ?)", (version, step.__name__, __version__, utc_now())
            )


def _check_folder(path: Path, *, create: bool) -> None:
    """Raise `ProjectError` if the folder is not a project and cannot become one."""
    root = path.parent
    if path.is_file():
        return
    if not create:
        raise ProjectError(f"There is no project in {str(root)!r}; `covey cluster SOURCE -o {root}` makes one.")
    if root.exists() and not root.is_dir():
        raise ProjectError(f"{str(root)!r} is a file; a project is a folder, choose another name.")
    if root.is_dir() and any(root.iterdir()):
        raise ProjectError(f"The folder {str(root)!r} is not empty and holds no project; choose a new or empty one.")


def _bring_up_to_date(connection: sqlite3.Connection, subject: str, *, create: bool) -> None:
    try:
        schema, writer = read_schema(connection)
    except (ValueError, sqlite3.DatabaseError) as error:
        raise ProjectError(f"{subject} cannot be opened: {error}.") from error
    if schema > len(MIGRATIONS):
        raise ProjectError(
            f"{subject} was written by covey {writer} (schema {schema}); this is covey {__version__} "
            f"(schema {len(MIGRATIONS)}). Upgrade covey, or use another folder."
        )
    if schema == 0 and not create:
        raise ProjectError(f"{subject} is empty; `covey cluster SOURCE -o PROJECT` fills it.")
    if schema < len(MIGRATIONS):
        with disk_errors(f"{subject}: its database, in the form of this version,"):
            migrate(connection)


def _start_record(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("""
        CREATE TABLE IF NOT EXISTS migrations (
            version INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            covey_version TEXT NOT NULL,
            applied_at TEXT NOT NULL
        )""")
