import errno
import os
import sqlite3
from pathlib import Path

import pytest

from covey.errors import ProjectError
from covey.store._atomic import disk_errors, remove_leftovers, written_whole


def test_a_file_appears_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    with written_whole(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(type(error)), written_whole(path) as temporary:  # noqa: PT012  (the block is what is tested)
        temporary.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path: Path) -> None:
    with written_whole(tmp_path / "x.csv") as temporary:
        temporary.write_text("kept")
        (tmp_path / temporary.name.replace(str(os.getpid()), "77")).write_text("of a killed run")
    (tmp_path / "notes.part").write_text("somebody else's")
    remove_leftovers(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.part", "x.csv"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("database or disk is full")]
)
def test_a_disk_that_refuses_becomes_a_project_error(error: Exception) -> None:
    message = r"The table could not be written: .*(No space|disk is full).*Nothing half"
    with pytest.raises(ProjectError, match=message), disk_errors("The table"):
        raise error


def test_bugs_stay_bugs() -> None:
    with pytest.raises(sqlite3.IntegrityError), disk_errors("The table"):
        raise sqlite3.IntegrityError("UNIQUE constraint failed")
    with pytest.raises(ProjectError, match=r"^as it was$"), disk_errors("The table"):
        raise ProjectError("as it was")
