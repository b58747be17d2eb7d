"""Images that change while a run goes on, and failures that pass: features always belong to the scanned bytes."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.backbones import load_backbone
from covey.errors import ImageReadError
from covey.extract import ExtractReport, extract_features, extract_views
from covey.extract import _shard_tasks as shards_module
from covey.images import _read as reading
from covey.images import read_recorded, scan_images
from covey.images._decode import _loaded_images as loading
from covey.store import FeatureStore
from covey.types import ImageRecord

BACKBONE = load_backbone("color_histogram")


def draw(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for i in range(12):
        draw(tmp_path / "pictures" / f"{i:02d}.png", i)
    return tmp_path / "pictures"


@pytest.fixture
def records(folder: Path) -> list[ImageRecord]:
    return scan_images([folder]).records


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def extract(records: list[ImageRecord], store: FeatureStore, **words: object) -> ExtractReport:
    return extract_features(records, BACKBONE, store, **{"batch_size": 3, "shard_size": 4, **words})  # type: ignore[arg-type]


def codes(report: ExtractReport) -> list[str]:
    return [failure.code for failure in report.failures]


# --- changes


@pytest.mark.parametrize("how", ["replaced", "cut", "overwritten", "gone bad"])
@pytest.mark.parametrize("is_restored", [True, False])
def test_features_never_belong_to_other_bytes(
    how: str, is_restored: bool, records: list[ImageRecord], store: FeatureStore
) -> None:
    folder = records[0].path.parent
    whole = FeatureStore(store.root.parent / "whole")
    extract(records, whole)
    path, data, status = records[7].path, records[7].path.read_bytes(), records[7].path.stat()
    if how == "replaced":
        draw(folder / "new.png", 99)
        (folder / "new.png").replace(path)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "overwritten":
        draw(path, 99)
    else:
        path.write_bytes(b"no image at all")
    report = extract(records, store)
    (failure,) = report.failures
    assert (failure.code, failure.id) == ("ERROR_CHANGED", records[7].id)
    assert "run the same command again" in failure.message
    if is_restored:
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert extract(records, store) == ExtractReport(n_computed=1, n_reused=11, failures=[])
        ids = [record.id for record in records]
        fingerprint = BACKBONE.fingerprint
        assert np.array_equal(store.load(fingerprint, ids).X, whole.load(fingerprint, ids).X)
    else:
        assert codes(extract(records, store)) == ["ERROR_CHANGED"]


def test_other_bytes_with_the_old_size_and_time(folder: Path, records: list[ImageRecord]) -> None:
    """Whoever restores the time but not the bytes is noticed when the file is written to while it is read."""
    record = records[3]
    os.utime(record.path, ns=(1, 1))
    assert np.asarray(read_recorded(record).image).shape == (40, 48, 3), "touched, but the same bytes"
    draw(record.path, 99)
    with pytest.raises(ImageReadError) as caught:
        read_recorded(record)
    assert caught.value.code == "ERROR_CHANGED"


def test_a_file_that_is_written_to_while_it_is_decoded(
    records: list[ImageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, real = records[3], reading.decode_file

    def write_meanwhile(*words: object) -> object:
        decoded = real(*words)  # type: ignore[arg-type]
        draw(record.path, 99)
        return decoded

    monkeypatch.setattr(reading, "decode_file", write_meanwhile)
    with pytest.raises(ImageReadError, match="while it was read") as caught:
        read_recorded(record)
    assert caught.value.code == "ERROR_CHANGED"


def test_a_record_without_time_is_checked_by_its_hash(folder: Path) -> None:
    path = folder / "00.png"
    record = ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 48, 40)
    assert read_recorded(record).image.size == (48, 40)
    with pytest.raises(ImageReadError, match="changed since"):
        read_recorded(ImageRecord("0" * 64, path, 48, 40))


def test_unchanged_files_are_not_hashed(records: list[ImageRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.hashlib, "file_digest", lambda *_: pytest.fail("hashed"))
    assert read_recorded(records[0]).image.size == (48, 40)


def test_views_are_checked_too(records: list[ImageRecord], store: FeatureStore) -> None:
    draw(records[5].path, 99)
    report = extract_views(records, BACKBONE, store, n_views=2)
    assert codes(report) == ["ERROR_CHANGED"]


# --- failures that pass


def failing(error: BaseException, n_times: int, name: str, calls: list[str]) -> Callable[..., object]:
    """Return a `read_recorded` whose conversion fails so many times for the image `name`."""
    real = read_recorded

    def read(record: ImageRecord, **words: object) -> object:
        if record.path.name == name:
            calls.append(name)
            if len(calls) <= n_times:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(loading, "to_rgb", lambda *_, **__: (_ for _ in ()).throw(error))
                    return real(record, **words)  # type: ignore[arg-type]
        return real(record, **words)  # type: ignore[arg-type]

    return read


TRANSIENT = [
    (OSError(errno.EIO, "Input/output error"), "ERROR_IO"),
    (OSError(errno.ESTALE, "Stale file handle"), "ERROR_IO"),
    (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "ERROR_IO"),
    (MemoryError(), "ERROR_MEMORY"),
]


@pytest.mark.parametrize(("error", "code"), TRANSIENT, ids=str)
def test_transient_failures_are_tried_again_in_the_run_and_in_the_next(
    error: BaseException, code: str, records: list[ImageRecord], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(shards_module, "read_recorded", failing(error, 1, "05.png", calls))
    assert extract(records, store, n_workers=1) == ExtractReport(n_computed=12, n_reused=0, failures=[])
    assert len(calls) == 2
    other = FeatureStore(store.root.parent / "other")
    calls.clear()
    monkeypatch.setattr(shards_module, "read_recorded", failing(error, 2, "05.png", calls))
    assert codes(extract(records, other, n_workers=1)) == [code]
    assert extract(records, other, n_workers=1) == ExtractReport(n_computed=1, n_reused=11, failures=[])
    assert len(calls) <= 5


def test_permanent_failures_are_tried_again_when_asked(
    records: list[ImageRecord], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(shards_module, "read_recorded", failing(ValueError("a bug of a decoder"), 9, "05.png", calls))
        assert codes(extract(records, store, n_workers=1)) == ["ERROR_CORRUPT_IMAGE"]
    assert codes(extract(records, store)) == ["ERROR_CORRUPT_IMAGE"]
    assert extract(records, store, retry_failed=True) == ExtractReport(n_computed=1, n_reused=11, failures=[])
    assert extract_views(records, BACKBONE, store, retry_failed=True).failures == []


# --- thumbnails


def test_empty_thumbnails_are_made_again(records: list[ImageRecord], store: FeatureStore, tmp_path: Path) -> None:
    from covey.images import thumbnail_path

    folder = tmp_path / "thumbnails"
    extract(records, store, thumbnails=folder)
    path = thumbnail_path(folder, records[2].id)
    before = path.read_bytes()
    path.write_bytes(b"")
    assert extract(records, store, thumbnails=folder).n_computed == 0
    assert path.read_bytes() == before
    path.write_bytes(b"")
    extract(records, FeatureStore(tmp_path / "again"), thumbnails=folder)
    assert path.read_bytes() == before
