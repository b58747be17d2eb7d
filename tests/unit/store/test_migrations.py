import os
import sqlite3
from pathlib import Path

import pytest

from covey import __version__
from covey.errors import ProjectError
from covey.store import Project, _migrations
from covey.store._database import connect
from covey.store._migrations import APPLICATION_ID, MIGRATIONS, migrate, read_schema

TABLES = {
    "assignments",
    "clusters",
    "edit_images",
    "edits",
    "files",
    "images",
    "migrations",
    "partitions",
    "scans",
    "sources",
}


def tables_of(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    connection.close()
    return {row[0] for row in rows}


@pytest.fixture
def old_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the first schema, with one image in it."""
    root = tmp_path / "old.covey"
    root.mkdir()
    connection = connect(root / "project.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(_migrations, "MIGRATIONS", MIGRATIONS[:1])
        migrate(connection)
    connection.execute("INSERT INTO scans VALUES (1, 'then', ?, '0.0.1')", (b"/pics",))
    connection.execute("INSERT INTO images VALUES (1, 'abc', 4, 3, ?)", (b"/pics/a.png",))
    connection.execute("INSERT INTO files VALUES (?, 1, 1, 1, 10, 20, NULL, NULL, NULL)", (b"/pics/a.png",))
    connection.close()
    assert "partitions" not in tables_of(root / "project.sqlite")
    return root


def test_a_new_project_has_taken_every_step(tmp_path: Path) -> None:
    Project.open(tmp_path / "p", create=True).close()
    path = tmp_path / "p" / "project.sqlite"
    assert tables_of(path) == TABLES
    connection = sqlite3.connect(path)
    steps = connection.execute("SELECT version, name, covey_version FROM migrations ORDER BY version").fetchall()
    connection.close()
    assert steps == [(i, step.__name__, __version__) for i, step in enumerate(MIGRATIONS, start=1)]
    assert [name[:4] for _, name, _ in steps] == [f"m{i:03d}" for i, _, _ in steps], "the name bears the number"
    assert path.read_bytes()[68:72] == b"COVE"


def test_an_old_project_is_brought_up_to_date_and_keeps_what_it_knows(old_project: Path) -> None:
    with Project.open(old_project) as project:
        assert project.summary().schema == len(MIGRATIONS)
        assert [record.path for record in project.records()] == [Path("/pics/a.png")]
        assert project.partitions() == []
    assert tables_of(old_project / "project.sqlite") == TABLES


def test_an_old_project_that_cannot_be_written_says_so(old_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ProjectError, match=r"in the form of this version, could not be written: .*readonly"):
        Project.open(old_project)


def test_a_current_project_can_be_read_where_it_cannot_be_written(
    filled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Project.open(filled.root) as project:
        assert len(project.records()) == 12
        with pytest.raises(ProjectError, match="readonly"):
            project.record_scan([], [], [], Path("/pics"))


def test_a_step_that_fails_leaves_nothing(old_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def m002_broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(_migrations, "MIGRATIONS", (MIGRATIONS[0], m002_broken))
        with pytest.raises(ProjectError, match="disk is full"):
            Project.open(old_project)
    assert "half" not in tables_of(old_project / "project.sqlite")
    with Project.open(old_project) as project:
        assert project.ledger().n_found == 1


def test_two_who_open_an_old_project_at_once_take_each_step_once(old_project: Path) -> None:
    first, second = connect(old_project / "project.sqlite"), connect(old_project / "project.sqlite")
    migrate(first)
    migrate(second)
    assert first.execute("SELECT count(*) FROM migrations").fetchone() == (len(MIGRATIONS),)
    first.close()
    second.close()


def test_a_newer_project_names_both_versions_and_is_left_alone(filled: Project) -> None:
    path = filled.root / "project.sqlite"
    newer = len(MIGRATIONS) + 3
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO migrations VALUES (?, 'm_future', '99.1', 'later')", (newer,))
    connection.commit()
    connection.close()
    before = path.read_bytes()
    message = (
        rf"p\.covey' was written by covey 99\.1 \(schema {newer}\); this is covey {__version__} "
        rf"\(schema {len(MIGRATIONS)}\)\. Upgrade covey, or use another folder\."
    )
    for create in (False, True):
        with pytest.raises(ProjectError, match=message):
            Project.open(filled.root, create=create)
    assert path.read_bytes() == before


def test_an_empty_database_is_filled_only_where_a_project_may_be_made(tmp_path: Path) -> None:
    (tmp_path / "project.sqlite").touch()
    with pytest.raises(ProjectError, match="is empty"):
        Project.open(tmp_path)
    with Project.open(tmp_path, create=True) as project:
        assert project.ledger().n_found == 0


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE images (theirs)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ProjectError, match="belongs to another program"):
        Project.open(tmp_path, create=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"this is no database, but text" * 50, None])
def test_a_file_that_is_no_database(filled: Project, content: bytes | None) -> None:
    path = filled.root / "project.sqlite"
    path.write_bytes(content or path.read_bytes()[:5000])
    with pytest.raises(ProjectError, match=r"p\.covey' cannot be read, its database is damaged: "):
        Project.open(filled.root)


def test_the_schema_of_a_connection(filled: Project) -> None:
    connection = connect(filled.root / "project.sqlite")
    assert read_schema(connection) == (len(MIGRATIONS), __version__)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
