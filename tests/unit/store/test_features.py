import logging
import os
import signal
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.store import FeatureStore, _disk
from covey.types import FloatArray, ImageFailure

IDS = [f"id{i}" for i in range(20)]


@pytest.fixture(name="X")
def rows(rng: np.random.Generator) -> FloatArray:
    return rng.normal(size=(20, 6)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, X: FloatArray) -> FeatureStore:
    """Three shards of 8, 8 and 4 rows."""
    store = FeatureStore(tmp_path / "features")
    for index, start in enumerate(range(0, 20, 8)):
        store.write_shard("f00d", index, IDS[start : start + 8], X[start : start + 8])
    return store


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def test_an_empty_store_knows_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features")
    assert store.fingerprints() == []
    assert store.shard_ids("f00d") == frozenset()
    assert store.failures("f00d") == []
    assert store.next_index("f00d") == 0
    assert store.info("f00d").n_bytes == 0
    assert not (tmp_path / "features").exists()
    with pytest.raises(ProjectError, match="There are no features f00d"):
        store.load("f00d")


def test_all_rows_in_order_of_the_shards(store: FeatureStore, X: FloatArray) -> None:
    features = store.load("f00d")
    assert features.ids == tuple(IDS)
    assert features.fingerprint == "f00d"
    assert np.array_equal(features.X, X)


@pytest.mark.parametrize("max_memory_bytes", [0, 2**30])
def test_rows_come_in_the_order_that_is_asked_for(
    store: FeatureStore, X: FloatArray, rng: np.random.Generator, max_memory_bytes: int
) -> None:
    store.max_memory_bytes = max_memory_bytes
    for n in (20, 13, 1, 0):
        order = rng.permutation(20)[:n]
        features = store.load("f00d", [IDS[row] for row in order])
        assert features.ids == tuple(IDS[row] for row in order)
        assert np.array_equal(features.X, X[order])
        assert features.X.dtype == np.float32
        assert features.X.flags.c_contiguous
        assert not features.X.flags.writeable
        assert type(features.X) is np.ndarray


def test_one_shard_is_mapped_not_copied(tmp_path: Path, X: FloatArray) -> None:
    store = FeatureStore(tmp_path)
    store.write_shard("f00d", 0, IDS, X)
    assert isinstance(store.load("f00d").X.base, np.memmap)
    assert isinstance(store.load("f00d", IDS).X.base, np.memmap)
    assert np.array_equal(store.load("f00d", IDS[::-1]).X, X[::-1])


def test_a_large_matrix_is_mapped_from_one_file(store: FeatureStore, X: FloatArray) -> None:
    store.max_memory_bytes = X.nbytes - 1
    first = store.load("f00d", IDS[::-1])
    assert isinstance(first.X.base, np.memmap)
    (path,) = (store.root / "f00d").glob("rows-*")
    inode = path.stat().st_ino
    assert np.array_equal(store.load("f00d", IDS[::-1]).X, X[::-1])
    assert path.stat().st_ino == inode, "the same rows were assembled twice"
    store.max_memory_bytes = 0
    assert np.array_equal(store.load("f00d", IDS[:9]).X, X[:9])
    (other,) = (store.root / "f00d").glob("rows-*")
    assert other != path
    assert np.array_equal(first.X, X[::-1]), "a matrix in use was lost"


def test_a_large_matrix_is_assembled_in_little_memory(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_disk, "_BLOCK_BYTES", 2**16)
    store = FeatureStore(tmp_path, max_memory_bytes=2**20)
    X = rng.normal(size=(4000, 500)).astype(np.float32)
    ids = [f"{i}" for i in range(4000)]
    for index in range(8):
        part = slice(500 * index, 500 * index + 500)
        store.write_shard("f00d", index, ids[part], X[part])
    order = rng.permutation(4000)
    shuffled = [ids[row] for row in order]
    tracemalloc.start()
    features = store.load("f00d", shuffled)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(features.X, X[order])
    assert peak < 3 * 2**20 < X.nbytes


def test_a_damaged_matrix_is_assembled_anew(store: FeatureStore, X: FloatArray) -> None:
    store.max_memory_bytes = 0
    store.load("f00d", IDS[::-1])
    (path,) = (store.root / "f00d").glob("rows-*")
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-1], whole.replace(b"(20, 6)", b"(6, 20)")):
        path.write_bytes(content)
        assert np.array_equal(store.load("f00d", IDS[::-1]).X, X[::-1])
        assert path.read_bytes() == whole


def test_asking_for_what_is_not_there(store: FeatureStore) -> None:
    with pytest.raises(ProjectError, match=r"2 of 3 images have no row in features f00d \(first: x\)"):
        store.load("f00d", ["x", "id3", "y"])
    with pytest.raises(ValueError, match="3 entries, but only 2 distinct"):
        store.load("f00d", ["id3", "id3", "id4"])


@pytest.mark.parametrize("fingerprint", ["", ".", "..", "a/b", "../x", "a\nb", ".hidden"])
def test_a_fingerprint_is_a_plain_name(store: FeatureStore, fingerprint: str) -> None:
    with pytest.raises(ValueError, match="is not a fingerprint"):
        store.shard_ids(fingerprint)


def test_wrong_shards_are_refused_and_write_nothing(store: FeatureStore, X: FloatArray) -> None:
    before = sorted((store.root / "f00d").iterdir())
    with pytest.raises(ProjectError, match="Shard 1 of features f00d exists"):
        store.write_shard("f00d", 1, IDS, X)
    with pytest.raises(ValueError, match="19 distinct ids of 19 for 20 rows"):
        store.write_shard("f00d", 3, IDS[:-1], X)
    with pytest.raises(ValueError, match="19 distinct ids of 20"):
        store.write_shard("f00d", 3, [*IDS[:-1], IDS[0]], X)
    with pytest.raises(ValueError, match="NaN or infinity in 1 of 20 rows"):
        store.write_shard("f00d", 3, IDS, np.where(np.arange(20)[:, None] == 7, np.nan, X))
    assert sorted((store.root / "f00d").iterdir()) == before


def test_indices_ids_and_sizes(store: FeatureStore, X: FloatArray) -> None:
    assert store.next_index("f00d") == 3
    assert store.shard_ids("f00d") == frozenset(IDS)
    store.write_shard("beef", 1_000_000, ["a"], X[:1])
    assert store.next_index("beef") == 1_000_001
    assert store.fingerprints() == ["beef", "f00d"]
    info = store.info("f00d")
    assert (info.n_images, info.n_features, info.n_shards) == (20, 6, 3)
    assert info.n_bytes == sum(path.stat().st_size for path in (store.root / "f00d").iterdir())


def test_failures_are_the_latest_of_each_image_that_has_no_row(tmp_path: Path, X: FloatArray) -> None:
    store = FeatureStore(tmp_path)

    def failure(name: str, message: str, image_id: str) -> ImageFailure:
        return ImageFailure(Path(name), "ERROR_CORRUPT_IMAGE", message, 1, image_id)

    first = [failure("/a", "old", "A"), failure("/b", "", "B"), failure("/c", "", ""), failure("/d", "", "")]
    store.write_shard("f00d", 0, [], X[:0], first)
    store.write_shard("f00d", 1, ["B"], X[:1], [failure("/a", "new", "A")])
    assert [(bad.path.name, bad.message) for bad in store.failures("f00d")] == [("a", "new"), ("c", ""), ("d", "")]
    assert store.shard_ids("f00d") == {"B"}


@pytest.mark.parametrize("damage", [flip_last_byte, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_damaged_shard_is_set_aside_and_said(
    store: FeatureStore, X: FloatArray, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(store.root / "f00d" / "shard-000001.safetensors")
    with pytest.raises(ProjectError, match=r"shard-000001.*is damaged .*set aside.*Run the same command again"):
        store.load("f00d", IDS)
    assert (store.root / "f00d" / "shard-000001.safetensors.damaged").exists()
    assert store.shard_ids("f00d") == frozenset(IDS[:8] + IDS[16:]), "its images must count as not done"
    store.write_shard("f00d", store.next_index("f00d"), IDS[8:16], X[8:16])
    assert np.array_equal(store.load("f00d", IDS).X, X)


def test_extraction_goes_on_after_a_shard_cut_short(store: FeatureStore, caplog: pytest.LogCaptureFixture) -> None:
    path = store.root / "f00d" / "shard-000002.safetensors"
    path.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert store.shard_ids("f00d") == frozenset(IDS[:16])
    assert "computed anew" in caplog.text
    assert not path.exists()
    assert store.next_index("f00d") == 3, "the index of a damaged shard is not used again"


def test_shards_of_two_backbones_are_not_mixed(store: FeatureStore) -> None:
    store.write_shard("f00d", 3, ["z"], np.zeros((1, 9), np.float32))
    with pytest.raises(ProjectError, match="6 and 9 columns"):
        store.load("f00d")


def test_temporary_files_are_no_shards(store: FeatureStore) -> None:
    half = store.root / "f00d" / ".shard-000003.safetensors.12.part"
    half.write_bytes(b"half")
    assert store.shard_ids("f00d") == frozenset(IDS)
    assert store.next_index("f00d") == 3
    store.remove_leftovers()
    assert not half.exists()


FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from covey.errors import ProjectError
from covey.store import FeatureStore
store = FeatureStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    if sys.argv[2] == "write":
        store.write_shard("f00d", 3, [str(i) for i in range(100)], np.ones((100, 50), np.float32))
    else:
        store.max_memory_bytes = 0
        store.load("big", ["b", "a"])
except ProjectError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("task", ["write", "load"])
def test_a_disk_that_takes_no_more(store: FeatureStore, run_python: Callable[..., object], task: str) -> None:
    store.write_shard("big", 0, ["a"], np.ones((1, 1000), np.float32))
    store.write_shard("big", 1, ["b"], np.ones((1, 1000), np.float32))
    before = sorted(path.name for path in store.root.rglob("*"))
    result = run_python(FULL_DISK, store.root, task)
    assert "could not be written" in result.stdout, result.stderr
    assert "Nothing half written was kept" in result.stdout
    assert sorted(path.name for path in store.root.rglob("*")) == before


WRITER = """
import sys
import numpy as np
from pathlib import Path
from covey.store import FeatureStore
store = FeatureStore(Path(sys.argv[1]))
print("start", flush=True)
for index in range(10000):
    ids = [f"{index}-{i}" for i in range(64)]
    store.write_shard("f00d", index, ids, np.full((64, 640), index, np.float32))
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_a_killed_writer_leaves_whole_shards(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import subprocess
    import sys
    import time

    store = FeatureStore(tmp_path)
    for delay_s in (0.05, 0.11, 0.2):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        n_shards = len(list((tmp_path / "f00d").glob("shard-*")))
        features = store.load("f00d")
        assert len(features.ids) == 64 * n_shards
        assert np.array_equal(features.X[::64, 0], np.arange(n_shards))
        assert not caplog.records, "a shard was damaged"
        for path in (tmp_path / "f00d").iterdir():
            path.unlink()


# --- Several sets side by side


@pytest.mark.parametrize("max_memory_bytes", [2**30, 0], ids=["array", "map"])
def test_sets_are_stacked_by_id_whatever_the_order_of_their_shards(
    tmp_path: Path, rng: np.random.Generator, max_memory_bytes: int
) -> None:
    store = FeatureStore(tmp_path, max_memory_bytes=max_memory_bytes)
    X = rng.normal(size=(3, 20, 6)).astype(np.float32)
    for number in range(3):
        order = rng.permutation(20)
        for index, rows in enumerate((order[:7], order[7:])):
            store.write_shard(f"set{number}", index, [IDS[row] for row in rows], X[number, rows])
    wanted = [3, 19, 0, 7]
    stacked = store.load_stacked(["set2", "set0"], [IDS[row] for row in wanted])
    assert stacked.dtype == np.float32
    assert not stacked.flags.writeable
    assert np.array_equal(stacked, np.stack([X[2, wanted], X[0, wanted]], axis=1))
    assert np.array_equal(store.load_stacked(["set2", "set0"], [IDS[row] for row in wanted]), stacked)
    assert len(list((store.root / "set2").glob("stacked-*.npy"))) == (max_memory_bytes == 0)


def test_a_stack_says_what_is_lacking(tmp_path: Path, rng: np.random.Generator) -> None:
    store = FeatureStore(tmp_path)
    store.write_shard("wide", 0, IDS[:5], rng.normal(size=(5, 6)).astype(np.float32))
    store.write_shard("narrow", 0, IDS[:5], rng.normal(size=(5, 4)).astype(np.float32))
    with pytest.raises(ProjectError, match=r"different widths: \[4, 6\]"):
        store.load_stacked(["wide", "narrow"], IDS[:5])
    with pytest.raises(ProjectError, match="1 of 6 images have no row in features wide"):
        store.load_stacked(["wide"], IDS[:6])
    with pytest.raises(ProjectError, match="There are no features none"):
        store.load_stacked(["wide", "none"], IDS[:5])


def test_a_large_stack_is_assembled_in_little_memory(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_disk, "_BLOCK_BYTES", 2**16)
    store = FeatureStore(tmp_path, max_memory_bytes=2**20)
    X = rng.normal(size=(4, 1000, 500)).astype(np.float32)
    ids = [f"{i}" for i in range(1000)]
    for number in range(4):
        for index in range(2):
            part = slice(500 * index, 500 * index + 500)
            store.write_shard(f"set{number}", index, ids[part], X[number, part])
    order = rng.permutation(1000)
    shuffled = [ids[row] for row in order]
    tracemalloc.start()
    stacked = store.load_stacked([f"set{number}" for number in range(4)], shuffled)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20, "8 MB of rows passed through memory at once"
    assert np.array_equal(stacked, X[:, order].swapaxes(0, 1))
