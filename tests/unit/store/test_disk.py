import errno
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.store import FeatureStore
from covey.store._disk import disk_errors


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


def test_a_shard_can_be_read_by_whoever_the_umask_allows(tmp_path: Path) -> None:
    """The safetensors library makes files for their owner alone; a project belongs to a group as its folder does."""
    path = FeatureStore(tmp_path).write_shard("f00d", 0, ["a"], np.ones((1, 2), np.float32))
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.filemode(path.stat().st_mode) == stat.filemode(plain.stat().st_mode)
