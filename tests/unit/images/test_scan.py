import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from covey.images import MIN_SIDE_PX, ScanReport, scan_images
from covey.images import _scan_folders as scanning


def names(report: ScanReport) -> list[str]:
    return [file.path.relative_to(report.root).as_posix() for file in report.files]


def codes(report: ScanReport) -> dict[str, str]:
    return {failure.path.name: failure.code for failure in report.failures}


def test_a_folder_becomes_records(put, tmp_path):
    put("b/img10.png", seed=1)
    put("b/img2.jpg", seed=2, size=(80, 60))
    put("a.png", seed=3)
    report = scan_images([tmp_path])
    assert names(report) == ["a.png", "b/img2.jpg", "b/img10.png"]
    assert report.root == tmp_path
    assert report.failures == []
    assert [record.path for record in report.records] == [file.path for file in report.files]
    record, file = report.records[1], report.files[1]
    data = file.path.read_bytes()
    assert record.id == file.id == hashlib.sha256(data).hexdigest()
    assert (record.width, record.height) == (80, 60)
    assert (file.n_bytes, file.mtime_ns) == (len(data), file.path.stat().st_mtime_ns)


def test_duplicates_are_one_record_with_several_files(put, tmp_path):
    first = put("z/copy.jpg")
    for name in ("a.jpg", "z/again.jpg"):
        (tmp_path / name).write_bytes(first.read_bytes())
    put("other.jpg", seed=1)
    report = scan_images([tmp_path])
    assert names(report) == ["a.jpg", "other.jpg", "z/again.jpg", "z/copy.jpg"]
    assert [record.path.name for record in report.records] == ["a.jpg", "other.jpg"]
    assert len({file.id for file in report.files}) == 2


def test_sizes_are_those_after_the_exif_turn(put, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    put("a.jpg", size=(80, 60), exif=exif)
    (record,) = scan_images([tmp_path]).records
    assert (record.width, record.height) == (60, 80)


def test_empty_folder(tmp_path):
    report = scan_images([tmp_path])
    assert report == ScanReport([], [], [], tmp_path)


def test_folder_of_text_files(tmp_path):
    for name in ("a.txt", "b.md", "noext", "sub/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    assert scan_images([tmp_path]) == ScanReport([], [], [], tmp_path, others={"text": 3, "other": 1})


def test_every_bad_file_is_reported_with_its_code(put, tmp_path, draw, encode):
    put("good.jpg")
    (tmp_path / "zero.jpg").touch()
    (tmp_path / "letter.jpg").write_text("Dear reader")
    (tmp_path / "stub.jpg").write_bytes(encode(draw(), "JPEG")[:20])
    put("dot.png", size=(1, 1))
    put("line.png", size=(300, MIN_SIDE_PX - 1))
    put("just.png", size=(300, MIN_SIDE_PX))
    (tmp_path / "photo.nef").write_bytes(encode(draw(), "TIFF"))
    (tmp_path / "shot.gif.jpg").write_bytes(encode(draw(seed=9), "GIF"))
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "x.jpg").mkdir()
    report = scan_images([tmp_path])
    assert names(report) == ["good.jpg", "just.png", "shot.gif.jpg"]
    assert codes(report) == {
        "zero.jpg": "ERROR_ZERO_SIZE_FILE",
        "letter.jpg": "ERROR_CORRUPT_IMAGE",
        "stub.jpg": "ERROR_CORRUPT_IMAGE",
        "dot.png": "ERROR_IMAGE_TOO_SMALL",
        "line.png": "ERROR_IMAGE_TOO_SMALL",
        "photo.nef": "ERROR_UNSUPPORTED",
        "pipe.jpg": "ERROR_UNSUPPORTED",
    }
    assert [failure.path.name for failure in report.failures] == sorted(codes(report))
    letter = next(failure for failure in report.failures if failure.path.name == "letter.jpg")
    assert (letter.n_bytes, letter.id) == (11, hashlib.sha256(b"Dear reader").hexdigest())
    assert "text" in letter.message


def test_a_folder_named_like_a_picture_is_a_folder(put, tmp_path):
    put("album.jpg/a.jpg")
    assert names(scan_images([tmp_path])) == ["album.jpg/a.jpg"]


def test_huge_canvas(tmp_path):
    path = tmp_path / "bomb.pgm"
    path.write_bytes(b"P5 100000 100000 255\n" + bytes(100))
    report = scan_images([tmp_path])
    assert codes(report) == {"bomb.pgm": "ERROR_TOO_LARGE"}
    assert "100000 x 100000 = 10,000 million pixels" in report.failures[0].message


@pytest.mark.parametrize("suffix", ["JPG", "Jpeg", "PnG"])
def test_suffixes_in_any_case(put, tmp_path, suffix, draw, encode):
    (tmp_path / f"a.{suffix}").write_bytes(encode(draw(), "PNG"))
    assert len(scan_images([tmp_path]).files) == 1


@pytest.mark.parametrize(
    "name", ["Füße und 猫.jpg", "two\nlines.jpg", " leading and trailing .jpg", "a'b\"c.jpg", "-.jpg"]
)
def test_odd_names(put, tmp_path, name):
    put(name)
    assert names(scan_images([tmp_path])) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="only here may names be any bytes")
def test_name_that_is_no_utf8(put, tmp_path, draw, encode):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(raw)).write_bytes(encode(draw(), "JPEG"))
    (file,) = scan_images([tmp_path]).files
    assert os.fsencode(file.path) == raw


# --- a second scan ----------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """Record which files are opened to be read."""
    paths = []
    real = scanning.open_regular
    monkeypatch.setattr(scanning, "open_regular", lambda path: paths.append(path.name) or real(path))
    return paths


def memory_of(report):
    known = {file.path: file for file in report.files}
    return {"known": known, "sizes": {record.id: (record.width, record.height) for record in report.records}}


def test_unchanged_files_are_not_opened(put, tmp_path, opened):
    for i in range(30):
        put(f"{i}.jpg", seed=i)
    first = scan_images([tmp_path])
    assert len(opened) == 30
    opened.clear()
    assert scan_images([tmp_path], **memory_of(first)) == first
    assert opened == []


def test_new_and_changed_files_are_read(put, tmp_path, opened):
    for i in range(4):
        put(f"{i}.png", seed=i)
    first = scan_images([tmp_path])
    put("1.png", seed=77, size=(90, 70))
    put("new.png", seed=5)
    (tmp_path / "2.png").unlink()
    same_size = tmp_path / "3.png"
    os.utime(same_size, ns=(0, first.files[3].mtime_ns + 1))
    opened.clear()
    second = scan_images([tmp_path], **memory_of(first))
    assert sorted(opened) == ["1.png", "3.png", "new.png"]
    assert second == scan_images([tmp_path])
    assert names(second) == ["0.png", "1.png", "3.png", "new.png"]
    assert (second.records[1].width, second.records[1].height) == (90, 70)


def test_a_known_file_without_its_size_is_read(put, tmp_path, opened):
    put("a.jpg")
    first = scan_images([tmp_path])
    opened.clear()
    assert scan_images([tmp_path], known=memory_of(first)["known"]) == first
    assert opened == ["a.jpg"]


def test_a_known_file_that_vanishes_is_reported(put, tmp_path):
    path = put("a.jpg")
    memory = memory_of(scan_images([tmp_path]))
    path.unlink()
    assert codes(scan_images([path], **memory)) == {"a.jpg": "ERROR_MISSING_FILE"}


def test_a_wrong_memory_shows_in_nothing_but_what_was_remembered(put, tmp_path):
    """The size comes from `sizes`, the id from `known`: a scan trusts what the project says of unchanged files."""
    path = put("a.jpg")
    file = replace(scan_images([tmp_path]).files[0], id="known")
    report = scan_images([tmp_path], known={path: file}, sizes={"known": (5, 6)})
    assert (report.records[0].id, report.records[0].width, report.records[0].height) == ("known", 5, 6)


# --- large folders, progress ------------------------------------------------------------------------------------------


def test_order_and_completeness_over_many_batches(tmp_path, draw, encode, monkeypatch):
    monkeypatch.setattr(scanning, "_BATCH", 10)
    monkeypatch.setattr(scanning, "_TASK", 3)
    for i in range(64):
        content = b"" if i % 7 == 0 else encode(draw(16, 16, seed=i), "PNG")
        (tmp_path / f"{i}.png").write_bytes(content)
    first = scan_images([tmp_path])
    assert names(first) == [f"{i}.png" for i in range(64) if i % 7]
    assert [failure.path.name for failure in first.failures] == [f"{i}.png" for i in range(0, 64, 7)]
    half = {path: file for i, (path, file) in enumerate(memory_of(first)["known"].items()) if i % 2}
    assert scan_images([tmp_path], known=half, sizes=memory_of(first)["sizes"]) == first


def test_progress_tells_of_every_file(put, tmp_path):
    for i in range(5):
        put(f"sub{i}/{i}.jpg", seed=i)
    (tmp_path / "zero.jpg").touch()
    calls = []
    scan_images([tmp_path], progress=lambda *call: calls.append(call))
    assert [call for call in calls if call[0] == "find"][-1] == ("find", 6, None)
    assert [call for call in calls if call[0] == "scan"] == [("scan", i, 6) for i in range(1, 7)]


def test_an_interrupt_gets_through(put, tmp_path):
    put("a.jpg")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_images([tmp_path], progress=interrupt)


def test_forbidden_file(put, tmp_path, monkeypatch):
    put("a.jpg")
    put("b.jpg", seed=1)
    real = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "a.jpg":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    report = scan_images([tmp_path])
    assert names(report) == ["b.jpg"]
    assert codes(report) == {"a.jpg": "ERROR_PERMISSION"}


def test_disk_error_while_hashing(put, tmp_path, monkeypatch):
    put("a.jpg")

    def fail(file, name):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(scanning.hashlib, "file_digest", fail)
    (failure,) = scan_images([tmp_path]).failures
    assert (failure.code, failure.id) == ("ERROR_IO", "")
    assert "Input/output error" in failure.message
