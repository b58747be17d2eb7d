import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from covey._files import DamagedFileError, map_tensor
from covey.store._shards import read_shard, write_shard
from covey.types import ImageFailure


@pytest.fixture
def shard(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "shard-000000.safetensors"
    X = rng.normal(size=(5, 7)).astype(np.float32)
    write_shard(path, "f00d", list("abcde"), X, [])
    return path


def test_the_safetensors_library_reads_a_shard(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "shard-000003.safetensors"
    X = rng.normal(size=(5, 7)).astype(np.float32)
    bad = ImageFailure(Path("/p/x.jpg"), "ERROR_CORRUPT_IMAGE", "cut short", 12, "ff")
    write_shard(path, "f00d", list("abcde"), X, [bad])
    with safe_open(path, framework="numpy") as file:
        assert np.array_equal(file.get_tensor("X"), X)
        metadata = file.metadata()
    assert metadata["format"] == "covey-features"
    assert metadata["version"] == "1"
    assert metadata["fingerprint"] == "f00d"
    assert json.loads(metadata["ids"]) == list("abcde")
    assert json.loads(metadata["failures"])[0]["code"] == "ERROR_CORRUPT_IMAGE"


def test_what_is_written_comes_back(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "shard-000000.safetensors"
    X = rng.normal(size=(3, 4)).astype(np.float32)
    failures = (
        ImageFailure(Path(os.fsdecode(b"/p/\xff\n\xcc\x88.jpg")), "ERROR_CORRUPT_IMAGE", "größer \udcff", 12, "ff"),
        ImageFailure(Path("/p/y.jpg"), "ERROR_MISSING_FILE", ""),
    )
    write_shard(path, "f00d", ["a", "b", "c"], X, failures)
    shard = read_shard(path)
    assert (shard.fingerprint, shard.ids, shard.failures, shard.n_features) == ("f00d", ("a", "b", "c"), failures, 4)
    rows = shard.rows()
    assert np.array_equal(rows, X)
    assert isinstance(rows.base, np.memmap)
    assert not rows.flags.writeable


def test_a_shard_of_failures_alone(tmp_path: Path) -> None:
    path = tmp_path / "shard-000000.safetensors"
    write_shard(path, "f00d", [], np.empty((0, 4), np.float32), [ImageFailure(Path("/y"), "ERROR_MISSING_FILE", "")])
    assert read_shard(path).rows().shape == (0, 4)
    assert len(read_shard(path).failures) == 1


@pytest.mark.parametrize("n_kept", [0, 3, 8, 40, 300, -1])
def test_a_shard_cut_short_is_noticed(shard: Path, n_kept: int) -> None:
    content = shard.read_bytes()
    shard.write_bytes(content[:n_kept])
    with pytest.raises(DamagedFileError, match=r"ends within|promises"):
        read_shard(shard)


def test_bytes_too_many_are_noticed(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes() + b"\0")
    with pytest.raises(DamagedFileError, match="promises"):
        read_shard(shard)


@pytest.mark.parametrize("place", [-1, -100, -140])
def test_a_flipped_bit_in_a_row_is_noticed(shard: Path, place: int) -> None:
    content = bytearray(shard.read_bytes())
    content[place] ^= 4
    shard.write_bytes(bytes(content))
    with pytest.raises(DamagedFileError, match="checksum"):
        read_shard(shard).rows()


def test_a_changed_id_is_noticed(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes().replace(b'\\"c\\"', b'\\"x\\"'))
    with pytest.raises(DamagedFileError, match="checksum"):
        read_shard(shard).rows()


@pytest.mark.parametrize(
    "header",
    [b"no json", b"[]", b'{"X": 3}', b'{"X": {"data_offsets": [0, "a"]}}', b'{"X": {"data_offsets": []}}', b"\xff"],
)
def test_a_garbled_header_is_noticed(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "shard-000000.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(DamagedFileError):
        read_shard(path)


def test_a_safetensors_file_of_another_kind_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "shard-000000.safetensors"
    save_file({"weight": np.zeros((2, 2), np.float32)}, path)
    with pytest.raises(DamagedFileError, match="lacks"):
        read_shard(path)
    with pytest.raises(DamagedFileError, match="no float32 tensor 'X'"):
        map_tensor(path, "X")
    save_file({"X": np.zeros((2, 2), np.float64)}, path)
    with pytest.raises(DamagedFileError, match="no float32 tensor 'X'"):
        map_tensor(path, "X")


def test_a_header_that_lies_about_the_shape_is_noticed(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes().replace(b'"shape":[5,7]', b'"shape":[5,9]'))
    with pytest.raises(DamagedFileError):
        read_shard(shard).rows()


def test_fewer_ids_than_rows_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "shard-000000.safetensors"
    write_shard(path, "f00d", ["a"], np.zeros((2, 3), np.float32), [])
    with pytest.raises(DamagedFileError, match="2 rows for 1 ids"):
        read_shard(path)
