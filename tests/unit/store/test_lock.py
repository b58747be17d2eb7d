import os
import signal
import subprocess
import sys

import pytest

from covey.errors import ProjectError
from covey.store import Project

HOLD = """
import sys, time
from pathlib import Path
from covey.store import Project
with Project.open(Path(sys.argv[1])) as project, project.lock():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(project: Project) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(project.root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_named(project: Project, holder: subprocess.Popen[str]) -> None:
    message = rf"p\.covey' is in use by process {holder.pid} on .+; wait"
    with pytest.raises(ProjectError, match=message), project.lock():
        pytest.fail("two held the lock")


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_a_killed_process_holds_nothing(project: Project, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with project.lock():
        assert (project.root / "project.lock").read_text().startswith(f"process {os.getpid()} on ")


def test_reading_needs_no_lock(project: Project, holder: subprocess.Popen[str]) -> None:
    assert project.ledger().n_found == 0


def test_the_lock_ends_with_its_block(project: Project) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), project.lock():
            raise KeyError
    message = rf"process {os.getpid()} "
    with Project.open(project.root) as other, project.lock(), pytest.raises(ProjectError, match=message), other.lock():
        pytest.fail("one process held the lock twice")


def test_the_lock_clears_leftovers(project: Project) -> None:
    places = [project.root, project.root / "features" / "f00d", project.root / "runs" / "001-kmeans"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / ".shard-000000.safetensors.123.part").write_bytes(b"half")
    with project.lock():
        assert not [entry for place in places for entry in place.glob(".*")]


def test_a_folder_that_cannot_be_written_is_a_clear_error(project: Project) -> None:
    (project.root / "project.lock").mkdir()
    with pytest.raises(ProjectError, match="cannot be locked for writing"), project.lock():
        pytest.fail("the lock is no file")
