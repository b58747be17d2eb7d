"""Views: pixels of each copy, resumption, more of them later, pictures that fail."""

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.backbones import load_backbone
from covey.errors import InvalidValueError, ProjectError
from covey.extract import ExtractReport, extract_features, extract_views, load_views, view_fingerprint
from covey.images import Augmentation, View, preprocess_view, read_image
from covey.store import FeatureStore
from covey.types import ImageRecord

BACKBONE = load_backbone("color_histogram")
ALWAYS = Augmentation(crop_probability=1.0, blur_probability=1.0)


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """Return 20 different pictures, as a scan would describe them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    records = []
    for i in range(20):
        path = folder / f"{i:04d}.png"
        base = draw.integers(0, 256, size=(5, 6, 3)).repeat(8, 0).repeat(8, 1)
        Image.fromarray(base.astype(np.uint8)).save(path)
        records.append(ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 48, 40))
    return records


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def extract(records: list[ImageRecord], store: FeatureStore, **words: object) -> ExtractReport:
    return extract_views(records, BACKBONE, store, **{"batch_size": 3, "shard_size": 8, **words})  # type: ignore[arg-type]


def load(records: list[ImageRecord], store: FeatureStore, n_views: int, **words: object) -> np.ndarray:
    ids = [record.id for record in records]
    return load_views(store, BACKBONE.fingerprint, ids, n_views=n_views, **words)  # type: ignore[arg-type]


def test_rows_are_what_the_backbone_says_of_each_copy(records: list[ImageRecord], store: FeatureStore) -> None:
    words = {"n_views": 3, "augmentation": ALWAYS, "random_state": 5}
    assert extract(records, store, **words) == ExtractReport(n_computed=60, n_reused=0, failures=[])
    views = load(records, store, **words)
    assert views.shape == (20, 3, 320)
    for record, rows in zip(records, views, strict=True):
        for number, row in enumerate(rows):
            draw = View(number, 5, ALWAYS).draw(record.id)
            pixels = preprocess_view(read_image(record.path), BACKBONE.spec, draw)
            assert np.array_equal(row, BACKBONE.encode_images(pixels[None])[0])
        assert not np.array_equal(rows[0], rows[1])


def test_without_augmentation_views_are_the_features(records: list[ImageRecord], store: FeatureStore) -> None:
    never = Augmentation(crop_probability=0.0, blur_probability=0.0)
    extract(records, store, n_views=2, augmentation=never)
    extract_features(records, BACKBONE, store)
    X = store.load(BACKBONE.fingerprint, [record.id for record in records]).X
    views = load(records, store, 2, augmentation=never)
    assert np.array_equal(views[:, 0], X)
    assert np.array_equal(views[:, 1], X)


def test_a_crop_of_a_large_photograph_is_decoded_finely_enough(tmp_path: Path, store: FeatureStore) -> None:
    """A JPEG may be decoded at a fraction of its size, but the crop must keep as many pixels as the backbone sees."""
    pixels = np.random.default_rng(0).integers(0, 256, size=(150, 200, 3)).astype(np.uint8)
    path = tmp_path / "large.jpg"
    Image.fromarray(pixels).resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=95)
    backbone = load_backbone("random_patches")
    quarter = Augmentation(crop_probability=1.0, crop_area=(1 / 64, 1 / 64), blur_probability=0.0)
    record = ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 1600, 1200)
    extract_views([record], backbone, store, n_views=1, augmentation=quarter)
    (row,) = load_views(store, backbone.fingerprint, [record.id], n_views=1, augmentation=quarter)[0]
    draw = View(0, 0, quarter).draw(record.id)
    whole = backbone.encode_images(preprocess_view(read_image(path), backbone.spec, draw)[None])[0]
    coarse_image = read_image(path, min_size=(256, 256))
    coarse = backbone.encode_images(preprocess_view(coarse_image, backbone.spec, draw)[None])[0]
    assert np.linalg.norm(row - whole) < 0.5 * np.linalg.norm(coarse - whole)


def test_more_views_later_cost_only_the_new_ones(records: list[ImageRecord], store: FeatureStore) -> None:
    extract(records, store, n_views=2)
    before = load(records, store, 2)
    assert extract(records, store, n_views=3) == ExtractReport(n_computed=20, n_reused=40, failures=[])
    assert np.array_equal(load(records, store, 3)[:, :2], before)
    assert np.array_equal(load(records, store, 2), before)


def test_other_settings_are_other_views(records: list[ImageRecord], store: FeatureStore) -> None:
    for words in ({}, {"random_state": 1}, {"augmentation": ALWAYS}):
        assert extract(records, store, n_views=2, **words).n_computed == 40
    assert len(store.fingerprints()) == 6


def test_neither_order_nor_engine_nor_company_changes_a_view(tmp_path: Path, records: list[ImageRecord]) -> None:
    stores = [FeatureStore(tmp_path / f"features-{i}") for i in range(3)]
    extract(records, stores[0], n_views=2)
    extract(records[::-1], stores[1], n_views=2, shard_size=3, n_workers=1)
    for part in (records[5:11], records):
        extract(part, stores[2], n_views=2, engine="processes", n_workers=2)
    expected = load(records, stores[0], 2)
    assert np.array_equal(load(records, stores[1], 2), expected)
    assert np.array_equal(load(records, stores[2], 2), expected)


def test_progress_counts_all_copies(records: list[ImageRecord], store: FeatureStore) -> None:
    calls: list[tuple[str, int, int | None]] = []
    extract(records, store, n_views=2, progress=lambda *call: calls.append(call))
    done = [n_done for _, n_done, _ in calls]
    assert {(stage, n_total) for stage, _, n_total in calls} == {("views", 40)}
    assert done == sorted(done)
    assert done[-1] == 40


def test_a_picture_that_fails_is_told_once(records: list[ImageRecord], store: FeatureStore) -> None:
    data = records[4].path.read_bytes()
    records[4].path.unlink()
    records[9].path.write_bytes(b"no picture")
    records[9] = replace(records[9], id=hashlib.sha256(b"no picture").hexdigest())
    report = extract(records, store, n_views=3)
    assert report.n_computed == 54
    assert {(failure.path, failure.code) for failure in report.failures} == {
        (records[4].path, "ERROR_MISSING_FILE"),
        (records[9].path, "ERROR_CORRUPT_IMAGE"),
    }
    assert len(report.failures) == 2
    with pytest.raises(ProjectError, match="2 of 20 images have no row"):
        load(records, store, 3)
    records[4].path.write_bytes(data)
    assert [failure.path for failure in extract(records, store, n_views=3).failures] == [records[9].path]


@pytest.mark.parametrize("words", [{"n_views": 0}, {"batch_size": 0}, {"shard_size": 0}, {"n_workers": 0}], ids=str)
def test_numbers_below_one_are_refused(words: dict[str, int], records: list[ImageRecord], store: FeatureStore) -> None:
    with pytest.raises(InvalidValueError, match=f"{next(iter(words))} is"):
        extract(records, store, **words)


def test_no_views_cannot_be_loaded(records: list[ImageRecord], store: FeatureStore) -> None:
    with pytest.raises(InvalidValueError, match="n_views is 0"):
        load(records, store, 0)


def test_the_name_of_a_set_tells_backbone_and_number() -> None:
    name = view_fingerprint("lite0-abc", View(12))
    assert name.startswith("lite0-abc.view12-")
    assert view_fingerprint("lite0-abc", View(12, random_state=1)) != name


RUN = """
import hashlib, os, signal, sys
from pathlib import Path
from covey.extract import extract_views
from covey.store import FeatureStore
from covey.types import ImageRecord
paths = sorted(Path(sys.argv[1]).iterdir())
records = [ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 1, 1) for path in paths]
n_left = int(sys.argv[3])
def kill(stage, n_done, n_total):
    if n_done >= n_left:
        os.kill(os.getpid(), signal.SIGKILL)
report = extract_views(records, "color_histogram", FeatureStore(Path(sys.argv[2])), n_views=3, batch_size=2,
                       shard_size=5, progress=kill)
print(report.n_computed, report.n_reused)
"""


def test_killed_runs_are_resumed_to_the_same_bits(tmp_path: Path, records: list[ImageRecord]) -> None:
    """Each run dies after so many copies; the last one gets through."""
    store = FeatureStore(tmp_path / "killed")
    for n_left in (17, 9, 1000):
        stamps = {path: path.stat().st_mtime_ns for path in store.root.rglob("shard-*")}
        words = [sys.executable, "-c", RUN, str(records[0].path.parent), str(store.root), str(n_left)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ})
        assert done.returncode == (-signal.SIGKILL if n_left < 1000 else 0), done.stderr
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert done.stdout.split() == ["40", "20"]  # 15 and 5 copies were finished before
    named = [ImageRecord(record.id, record.path, 1, 1) for record in records]
    whole = FeatureStore(tmp_path / "whole")
    extract(named, whole, n_views=3)
    assert np.array_equal(load(named, store, 3), load(named, whole, 3))
