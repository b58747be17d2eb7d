"""Extraction: plan, shards, resumption after any kill, pictures that cannot be read, disks that are full."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from covey.backbones import load_backbone
from covey.errors import InvalidValueError, ProjectError
from covey.extract import ExtractReport, extract_features
from covey.images import preprocess, read_image, thumbnail_path
from covey.store import FeatureStore
from covey.types import ImageRecord

BACKBONE = load_backbone("color_histogram")


def make_records(folder: Path, n: int, size: tuple[int, int] = (48, 40)) -> list[ImageRecord]:
    """Draw n different pictures and describe them as a scan would."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    records = []
    for i in range(n):
        path = folder / f"{i:04d}.png"
        base = rng.integers(0, 256, size=(size[1] // 8, size[0] // 8, 3))
        pixels = np.clip(base.repeat(8, 0).repeat(8, 1) + rng.integers(-9, 9, size=(size[1], size[0], 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        records.append(ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, *size))
    return records


def overwrite(record: ImageRecord, data: bytes) -> ImageRecord:
    """Put other bytes into a file, as they would be scanned: their hash is the id."""
    record.path.write_bytes(data)
    return replace(record, id=hashlib.sha256(data).hexdigest())


def shard_bytes(store: FeatureStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((store.root).rglob("shard-*.safetensors"))}


def shard_contents(store: FeatureStore) -> dict[str, tuple[dict[str, str], bytes]]:
    """Return ids, failures and rows of each shard; the order of a file's metadata is left to chance."""
    contents = {}
    for path in sorted(store.root.rglob("shard-*.safetensors")):
        with safe_open(path, "np") as file:
            contents[path.name] = (file.metadata(), file.get_tensor("X").tobytes())
    return contents


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return make_records(tmp_path / "pictures", 20)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def extract(records: Sequence[ImageRecord], store: FeatureStore, **words: object) -> ExtractReport:
    return extract_features(records, BACKBONE, store, **{"batch_size": 3, "shard_size": 8, **words})  # type: ignore[arg-type]


def test_rows_are_what_the_backbone_says_of_each_picture(records: list[ImageRecord], store: FeatureStore) -> None:
    report = extract(records, store)
    assert report == ExtractReport(n_computed=20, n_reused=0, failures=[])
    features = store.load(BACKBONE.fingerprint, [record.id for record in records])
    for row, record in zip(features.X, records, strict=True):
        pixels = preprocess(read_image(record.path), BACKBONE.spec)
        assert np.array_equal(row, BACKBONE.encode_images(pixels[None])[0])


def test_shards_are_cut_in_order(records: list[ImageRecord], store: FeatureStore) -> None:
    extract(records, store)
    assert list(shard_bytes(store)) == [f"shard-{i:06d}.safetensors" for i in range(3)]
    assert store.load(BACKBONE.fingerprint).ids == tuple(record.id for record in records)


def test_a_name_is_as_good_as_a_backbone(records: list[ImageRecord], store: FeatureStore) -> None:
    assert extract_features(records, "color_histogram", store).n_computed == 20
    assert extract(records, store).n_reused == 20


def test_a_second_run_does_nothing(records: list[ImageRecord], store: FeatureStore) -> None:
    extract(records, store)
    before = shard_bytes(store)
    calls: list[object] = []
    report = extract(records, store, progress=lambda *call: calls.append(call))
    assert report == ExtractReport(n_computed=0, n_reused=20, failures=[])
    assert shard_bytes(store) == before
    assert calls == []


def test_new_pictures_are_added_and_old_ones_reused(records: list[ImageRecord], store: FeatureStore) -> None:
    extract(records[:13], store)
    before = shard_bytes(store)
    report = extract(records[::-1], store)
    assert (report.n_computed, report.n_reused) == (7, 13)
    assert before.items() <= shard_bytes(store).items()
    assert len(store.load(BACKBONE.fingerprint, [record.id for record in records]).X) == 20


def test_no_records_are_no_work(store: FeatureStore) -> None:
    assert extract([], store) == ExtractReport(0, 0, [])
    assert not store.root.exists()


def test_engines_and_numbers_of_workers_make_the_same_shards(tmp_path: Path, records: list[ImageRecord]) -> None:
    made = []
    for words in ({}, {"n_workers": 1}, {"n_workers": 5}, {"engine": "processes", "n_workers": 2}):
        store = FeatureStore(tmp_path / f"features-{len(made)}")
        extract(records, store, **words)
        made.append(shard_contents(store))
    assert all(shards == made[0] for shards in made)


@pytest.mark.parametrize("words", [{}, {"engine": "processes", "n_workers": 2}], ids=["inline", "processes"])
def test_progress_rises_to_the_total(words: dict[str, object], records: list[ImageRecord], store: FeatureStore) -> None:
    calls: list[tuple[str, int, int | None]] = []
    extract(records, store, progress=lambda *call: calls.append(call), **words)
    done = [n_done for _, n_done, _ in calls]
    assert {(stage, n_total) for stage, _, n_total in calls} == {("embed", 20)}
    assert done == sorted(done)
    assert done[-1] == 20
    assert len(set(done)) == (8 if not words else 3)  # batches of 3 in shards of 8, or shards


@pytest.mark.parametrize("words", [{"batch_size": 0}, {"n_workers": 0}, {"shard_size": -1}], ids=str)
def test_sizes_below_one_are_refused(words: dict[str, int], records: list[ImageRecord], store: FeatureStore) -> None:
    with pytest.raises(InvalidValueError, match=f"{next(iter(words))} is"):
        extract(records, store, **words)


# --- Pictures that cannot be read


def test_broken_pictures_are_failures_and_nothing_else_changes(tmp_path: Path, records: list[ImageRecord]) -> None:
    whole, holed = FeatureStore(tmp_path / "whole"), FeatureStore(tmp_path / "holed")
    extract(records, whole)
    records[4] = overwrite(records[4], records[4].path.read_bytes()[:60])
    records[9].path.unlink()
    report = extract(records, holed)
    assert (report.n_computed, report.n_reused) == (18, 0)
    assert {(failure.path, failure.code, failure.id) for failure in report.failures} == {
        (records[4].path, "ERROR_CORRUPT_IMAGE", records[4].id),
        (records[9].path, "ERROR_MISSING_FILE", records[9].id),
    }
    good = [record.id for i, record in enumerate(records) if i not in (4, 9)]
    fingerprint = BACKBONE.fingerprint
    assert np.array_equal(holed.load(fingerprint, good).X, whole.load(fingerprint, good).X)


def test_a_shard_of_broken_pictures_only_is_fine(records: list[ImageRecord], store: FeatureStore) -> None:
    records = [overwrite(record, b"no picture, " + str(i).encode()) for i, record in enumerate(records)]
    report = extract(records, store)
    assert (report.n_computed, len(report.failures)) == (0, 20)


def test_broken_pictures_are_not_read_again_but_reported_again(
    records: list[ImageRecord], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records[4] = overwrite(records[4], b"no picture")
    first = extract(records, store)
    moved = [replace(record, path=record.path.with_name(f"moved-{record.path.name}")) for record in records]
    monkeypatch.setattr("covey.extract._shard_tasks.read_recorded", lambda *_, **__: pytest.fail("read again"))
    again = extract(moved, store)
    assert (again.n_computed, again.n_reused) == (0, 19)
    assert [(failure.code, failure.path) for failure in again.failures] == [(first.failures[0].code, moved[4].path)]


def test_a_missing_picture_is_tried_again(records: list[ImageRecord], store: FeatureStore) -> None:
    data = records[4].path.read_bytes()
    records[4].path.unlink()
    assert len(extract(records, store).failures) == 1
    records[4].path.write_bytes(data)
    assert extract(records, store) == ExtractReport(n_computed=1, n_reused=19, failures=[])


# --- Thumbnails


@pytest.mark.parametrize("words", [{}, {"engine": "processes", "n_workers": 1}], ids=["inline", "processes"])
def test_thumbnails_are_written_in_the_same_pass(
    words: dict[str, object], tmp_path: Path, records: list[ImageRecord], store: FeatureStore
) -> None:
    folder = tmp_path / "thumbnails"
    extract(records, store, thumbnails=folder, **words)
    for record in records:
        with Image.open(thumbnail_path(folder, record.id)) as thumbnail:
            assert (thumbnail.format, thumbnail.size) == ("WEBP", (48, 40))


def test_missing_thumbnails_of_known_pictures_are_made_up_for(
    tmp_path: Path, records: list[ImageRecord], store: FeatureStore
) -> None:
    folder = tmp_path / "thumbnails"
    extract(records[:10], store)
    records[3].path.unlink()
    extract(records, store, thumbnails=folder)
    has = [thumbnail_path(folder, record.id).exists() for record in records]
    assert has == [i != 3 for i in range(20)]


def test_thumbnails_do_not_change_the_features(tmp_path: Path) -> None:
    """A large JPEG is decoded at a reduced scale, which must not depend on who else wants the picture."""
    pixels = np.random.default_rng(0).integers(0, 256, size=(1200, 1600, 3)).astype(np.uint8)
    path = tmp_path / "large.jpg"
    Image.fromarray(pixels).save(path)
    record = ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 1600, 1200)
    stores = FeatureStore(tmp_path / "without"), FeatureStore(tmp_path / "with")
    extract([record], stores[0])
    extract([record], stores[1], thumbnails=tmp_path / "thumbnails")
    assert shard_contents(stores[0]) == shard_contents(stores[1])


# --- A full disk


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_what_was_finished(
    records: list[ImageRecord], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(records[:8], store)
    before = shard_bytes(store)
    with monkeypatch.context() as patch:
        patch.setattr("covey._files._flush", refuse)
        with pytest.raises(ProjectError, match=r"Shard 1 .*No space left on device.*run the same command again"):
            extract(records, store)
    assert shard_bytes(store) == before
    assert [path.name for path in (store.root / BACKBONE.fingerprint).iterdir()] == list(before)
    assert extract(records, store).n_computed == 12


def test_a_full_disk_under_the_thumbnails_is_told(
    tmp_path: Path, records: list[ImageRecord], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covey.extract._shard_tasks.write_thumbnail", refuse)
    with pytest.raises(ProjectError, match=r"thumbnail .*No space left on device"):
        extract(records, store, thumbnails=tmp_path / "thumbnails")
    assert not store.root.exists()


# --- Killed at any moment

RUN = """
import hashlib
import sys
from pathlib import Path
from covey.extract import extract_features
from covey.store import FeatureStore
from covey.types import ImageRecord
paths = sorted(Path(sys.argv[1]).iterdir())
records = [ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, 1, 1) for path in paths]
extract_features(records, sys.argv[2], FeatureStore(Path(sys.argv[3])), batch_size=8, shard_size=int(sys.argv[4]),
                 n_workers=2, progress=lambda *call: print(*call, flush=True))
"""


def run_until(moment: Callable[[str], bool], pictures: Path, store: Path, *words: str) -> bool:
    """Run the extraction, kill it at a line of its progress, and tell whether it had to be killed."""
    command = [sys.executable, "-c", RUN, str(pictures), words[0], str(store), *words[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment(line):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
        assert process.wait() == 0
    return False


@dataclass
class AfterLines:
    """True some time after so many lines."""

    n_lines: int
    pause_s: float

    def __call__(self, line: str) -> bool:
        self.n_lines -= 1
        if self.n_lines > 0:
            return False
        time.sleep(self.pause_s)
        return True


def check_kills(pictures: Path, folder: Path, n_kills: int, words: tuple[str, ...]) -> None:
    """Kill runs at random moments until one gets through; compare with a run that nobody killed."""
    whole, killed = FeatureStore(folder / "whole"), FeatureStore(folder / "killed")
    assert not run_until(lambda line: False, pictures, whole.root, *words)
    n_lines = len(list(pictures.iterdir())) // 8  # of progress
    most = max(1, n_lines // (2 * n_kills))  # so that something is left after the last kill
    chance = np.random.default_rng(1)
    for _ in range(n_kills):
        finished = shard_bytes(killed)
        stamps = {path: path.stat().st_mtime_ns for path in killed.root.rglob("shard-*.safetensors")}
        moment = AfterLines(int(chance.integers(1, 1 + most)), float(chance.uniform(0, 0.02)))
        assert run_until(moment, pictures, killed.root, *words)
        assert finished.items() <= shard_bytes(killed).items()
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert not run_until(lambda line: False, pictures, killed.root, *words)
    fingerprint = whole.fingerprints()[0]
    ids = whole.load(fingerprint).ids
    assert len(ids) == len(list(pictures.iterdir()))
    assert np.array_equal(whole.load(fingerprint, ids).X, killed.load(fingerprint, ids).X)
    assert shard_contents(whole) == shard_contents(killed)


def test_a_killed_run_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    make_records(tmp_path / "pictures", 96)
    check_kills(tmp_path / "pictures", tmp_path, 2, ("color_histogram", "16"))


@pytest.mark.slow
def test_ten_kills_with_a_network(tmp_path: Path, unpacked: Callable[[str], Path]) -> None:
    source = unpacked("imagenette-val.tar") / "val"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, path in enumerate(sorted(source.rglob("*.JPEG"))[::4]):
        os.link(path, pictures / f"{i:05d}.jpg")
    check_kills(pictures, tmp_path, 10, ("efficientnet_lite0.in1k", "32"))
