"""Files that appear whole, headers of safetensors, and the lock."""

import errno
import json
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from covey import _files
from covey._files import (
    DamagedFileError,
    WrongLengthError,
    atomic_write,
    exclusive_lock,
    map_tensor,
    read_safetensors_header,
    remove_leftovers,
    write_bytes,
    write_text,
)
from covey.errors import ProjectError

on_posix = pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")


@pytest.fixture(params=[0o022, 0o027, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_file_appears_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, error: BaseException, is_durable: bool
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path, is_durable=is_durable) as temporary:  # noqa: PT012  (the block is what is tested)
        temporary.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_text_and_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "größer\r\nnext\n")
    assert (tmp_path / "t").read_bytes() == "größer\r\nnext\n".encode()
    write_bytes(tmp_path / "b", b"\x00\xff\n")
    assert (tmp_path / "b").read_bytes() == b"\x00\xff\n"


def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "x.csv") as temporary:
        temporary.write_text("kept")
        (tmp_path / temporary.name.replace(str(os.getpid()), "77")).write_text("of a killed run")
    (tmp_path / "notes.part").write_text("somebody else's")
    remove_leftovers(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.part", "x.csv"]


@on_posix
@pytest.mark.parametrize("is_durable", [True, False])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int, is_durable: bool) -> None:
    """The library makes a file for its owner alone, and by a rename of its own."""
    for path in (tmp_path / "new", tmp_path / "old"):
        if path.name == "old":
            path.write_bytes(b"")
            path.chmod(0o600)
        with atomic_write(path, is_durable=is_durable) as temporary:
            save_file({"X": np.ones((2, 3), np.float32)}, temporary)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
        assert np.array_equal(map_tensor(path, "X"), np.ones((2, 3)))


@on_posix
def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "table.csv"
    victim.write_text("precious")
    path.symlink_to(victim)
    (tmp_path / f".table.csv.{os.getpid()}-{threading.get_ident()}.part").symlink_to(victim)
    write_text(path, "table")
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert path.read_text() == "table"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["table.csv", "victim"]


def test_what_is_durable_is_flushed_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, str]] = []
    flush, replace = _files._flush, Path.replace

    def record_flush(path: Path) -> None:
        events.append(("flush", path.suffix or "folder"))
        flush(path)

    def record_replace(self: Path, target: Path) -> Path:
        events.append(("rename", target.name))
        return replace(self, target)

    monkeypatch.setattr(_files, "_flush", record_flush)
    monkeypatch.setattr(Path, "replace", record_replace)
    write_bytes(tmp_path / "x", b"1", is_durable=False)
    assert events == [("rename", "x")]
    events.clear()
    write_bytes(tmp_path / "x", b"2")
    assert events == [("flush", ".part"), ("rename", "x"), ("flush", "folder")]


def test_a_header_says_where_the_tensors_lie(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x.safetensors"
    X, pixels = rng.normal(size=(3, 4)).astype(np.float32), rng.integers(0, 256, (2, 5), dtype=np.uint8)
    save_file({"X": X, "pixels": pixels, "none": np.empty((0, 4), np.float32)}, path, metadata={"format": "test"})
    header = read_safetensors_header(path)
    assert header.metadata == {"format": "test"}
    assert {name: (t.dtype, t.shape) for name, t in header.tensors.items()} == {
        "X": ("F32", (3, 4)), "pixels": ("U8", (2, 5)), "none": ("F32", (0, 4)),
    }  # fmt: skip
    content, place = path.read_bytes(), header.tensors["X"]
    assert content[place.offset : place.offset + place.n_bytes] == X.tobytes()
    for found, wanted in ((map_tensor(path, "X"), X), (map_tensor(path, "pixels", "U8"), pixels)):
        assert np.array_equal(found, wanted)
        assert found.dtype == wanted.dtype
        assert isinstance(found.base, np.memmap)
        assert not found.flags.writeable
    assert map_tensor(path, "none").shape == (0, 4)
    with pytest.raises(DamagedFileError, match="no uint8 tensor 'X'"):
        map_tensor(path, "X", "U8")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DamagedFileError, "ends within its header"),
        (struct.pack("<Q", 2**62), DamagedFileError, "ends within its header"),
        (struct.pack("<Q", 2) + b"[]", DamagedFileError, "cannot be read"),
        (struct.pack("<Q", 2) + b"\xff\xff", DamagedFileError, "cannot be read"),
        (struct.pack("<Q", 2) + b"{}x", WrongLengthError, "it has 11 bytes of 10"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_refused(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(error, match=message):
        read_safetensors_header(tmp_path / "x")


def test_a_tensor_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    entry = {"X": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, "Y": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}  # fmt: skip  # noqa: E501
    header = json.dumps(entry).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(DamagedFileError):
        map_tensor(tmp_path / "x", "X")


HOLD = """
import sys, time
from pathlib import Path
from covey._files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "The folder"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_hears_at_once_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for _ in range(2):  # the one who is refused leaves the note as it was
            with (
                pytest.raises(ProjectError, match=rf"^The folder is in use by process {process.pid} on .+; wait until"),
                exclusive_lock(path, "The folder"),
            ):
                pytest.fail("two held the lock")
        process.kill()
        process.wait()
        with exclusive_lock(path, "The folder"):
            assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert path.exists()


def test_a_shorter_note_replaces_a_longer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.lock"
    path.write_text("process 1234567890 on a computer with a long name")
    monkeypatch.setattr("socket.gethostname", lambda: "pc")
    with exclusive_lock(path, "The folder"):
        assert path.read_text() == f"process {os.getpid()} on pc"


@on_posix
def test_the_lock_does_not_overwrite_what_a_link_points_to(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "project.lock"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(ProjectError, match="cannot be locked for writing"), exclusive_lock(path, "The folder"):
        pytest.fail("a link was locked")
    assert victim.read_text() == "precious"


@on_posix
def test_the_lock_file_follows_the_umask(tmp_path: Path, umask: int) -> None:
    with exclusive_lock(tmp_path / "run.lock", "The folder"):
        assert stat.S_IMODE((tmp_path / "run.lock").stat().st_mode) == 0o666 & ~umask


def test_a_disk_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    message = r"^The folder cannot be locked: .*No locks available; use a folder on a local disk\.$"
    with pytest.raises(ProjectError, match=message), exclusive_lock(tmp_path / "run.lock", "The folder"):
        pytest.fail("the lock was held")
