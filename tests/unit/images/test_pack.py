"""Pictures packed to one size: the pixels, what is reused, what fails, and what a kill leaves."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from covey.images import _pack as pack_module
from covey.images import pack_images, thumbnail_path
from covey.types import ImageRecord


@pytest.fixture
def records(draw, tmp_path) -> list[ImageRecord]:
    """Five pictures of different shapes, and in the middle one that ends early."""
    found = []
    for i, size in enumerate([(64, 32), (32, 32), (40, 90), (20, 20), (300, 200), (32, 32)]):
        path = tmp_path / f"{i}.png"
        draw(*size, seed=i).save(path)
        if i == 2:
            path.write_bytes(path.read_bytes()[:200])
        found.append(ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, *size))
    return found


def test_pixels_ids_and_failures(records, draw, tmp_path):
    path = tmp_path / "new" / "pixels.safetensors"
    told = []
    packed = pack_images(records, path, size=32, progress=lambda *call: told.append(call))
    whole = records[:2] + records[3:]
    assert packed.ids == tuple(record.id for record in whole)
    assert packed.pixels.shape == (5, 32, 32, 3)
    assert isinstance(packed.pixels.base, np.memmap)
    assert not packed.pixels.flags.writeable
    np.testing.assert_array_equal(packed.pixels[1], draw(32, 32, seed=1))  # of that size already: the very pixels
    np.testing.assert_array_equal(packed.pixels[0], np.asarray(draw(64, 32, seed=0))[:, 16:48])  # the centre
    (failure,) = packed.failures
    assert (failure.id, failure.code) == (records[2].id, "ERROR_CORRUPT_IMAGE")
    assert packed.n_reused == 0
    assert told == [("pack", 6, 6)]
    np.testing.assert_array_equal(load_file(path)["pixels"], packed.pixels)  # any reader of the format can
    assert [*path.parent.iterdir()] == [path]


def test_what_is_there_is_not_decoded_again(records, tmp_path, monkeypatch):
    path = tmp_path / "pixels.safetensors"
    good = records[:2] + records[3:]
    first = pack_images(good[:3], path, size=32)
    decoded = []
    read = pack_module.read_recorded
    monkeypatch.setattr(pack_module, "read_recorded", lambda r, **options: decoded.append(r.path) or read(r, **options))
    again = pack_images(good[:3], path, size=32)
    assert (decoded, again.n_reused) == ([], 3)
    grown = pack_images([good[4], *good[1:4]], path, size=32)  # one is gone, two are new, the order is another
    assert sorted(decoded) == sorted(record.path for record in good[3:])
    assert grown.n_reused == 2
    assert grown.ids == tuple(record.id for record in [good[4], *good[1:4]])
    np.testing.assert_array_equal(grown.pixels[1:3], first.pixels[1:3])
    assert pack_images(good, path, size=16).pixels.shape == (5, 16, 16, 3)  # another size is another content


def test_thumbnails_come_along_also_later(records, tmp_path):
    path, folder = tmp_path / "pixels.safetensors", tmp_path / "thumbnails"
    good = records[:2]
    pack_images(good, path, size=32)
    pack_images(good, path, size=32, thumbnails=folder)
    assert all(thumbnail_path(folder, record.id).exists() for record in good)


@pytest.mark.parametrize("moment", ["decode", "rename"])
def test_a_packing_that_dies_leaves_what_was_there(records, tmp_path, monkeypatch, moment):
    path = tmp_path / "pixels.safetensors"
    before = pack_images(records[:2], path, size=32).pixels.copy()

    def die(*_, **__):
        raise KeyboardInterrupt

    if moment == "decode":
        monkeypatch.setattr(pack_module, "preprocess", die)
    else:
        monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        pack_images(records[3:], path, size=32)
    assert not [*tmp_path.glob(".*.part")]
    monkeypatch.undo()
    kept = pack_images(records[:2], path, size=32)
    assert kept.n_reused == 2
    np.testing.assert_array_equal(kept.pixels, before)


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b"\0" * 40, lambda b: b[:4], lambda b: b"x" + b[1:]])
def test_a_damaged_file_is_made_anew(records, tmp_path, damage):
    path = tmp_path / "pixels.safetensors"
    expected = pack_images(records[:2], path, size=32).pixels.copy()
    path.write_bytes(damage(path.read_bytes()))
    packed = pack_images(records[:2], path, size=32)
    assert packed.n_reused == 0
    np.testing.assert_array_equal(packed.pixels, expected)


def test_nothing_that_can_be_decoded(records, tmp_path):
    packed = pack_images(records[2:3], tmp_path / "pixels.safetensors", size=32)
    assert (packed.ids, packed.pixels.shape, len(packed.failures)) == ((), (0, 32, 32, 3), 1)


def test_a_size_must_be_one(records, tmp_path):
    with pytest.raises(ValueError, match="size is 0 and n_workers is 2; both must be at least 1"):
        pack_images(records, tmp_path / "pixels.safetensors", size=0)
