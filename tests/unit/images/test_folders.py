"""What counts as an image in a folder: system folders, names without a suffix, other kinds of files, raw files."""

import os
import struct

import pytest

from covey.errors import ImageReadError
from covey.images import _scan_folders as scanning
from covey.images import read_image, scan_images
from covey.images._decode._raw_previews import find_preview


def names(report):
    return [file.path.relative_to(report.root).as_posix() for file in report.files]


# --- folders of the system

FOLDERS = ["@eaDir/a.jpg", "sub/#recycle", "$RECYCLE.BIN/S-1-5", "System Volume Information", "LOST+FOUND", "__MACOSX"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_system_folders_are_left_out_and_counted(put, tmp_path, folder):
    put("good.jpg")
    put(f"{folder}/thumb.jpg", seed=1)
    put(f"{folder}/deeper/thumb.png", seed=2)
    (tmp_path / folder / "index.db").touch()
    report = scan_images([tmp_path])
    assert names(report) == ["good.jpg"]
    assert (report.n_system, report.others, report.left_out()) == (2, {"other": 0}, {"system": 2})
    whole = scan_images([tmp_path], include_system=True)
    assert len(whole.files) == 3
    assert (whole.n_system, whole.n_other) == (0, 1)


def test_folder_without_media(put, tmp_path):
    put("good.jpg")
    put("app/cache/a.jpg", seed=1)
    put("app/b.jpg", seed=2)
    (tmp_path / "app" / ".nomedia").touch()
    report = scan_images([tmp_path])
    assert names(report) == ["good.jpg"]
    assert report.n_system == 2
    assert len(scan_images([tmp_path], include_system=True).files) == 3


def test_a_source_is_searched_whatever_it_is_called(put, tmp_path):
    put("@eaDir/a.jpg")
    (tmp_path / "@eaDir" / ".nomedia").touch()
    assert len(scan_images([tmp_path / "@eaDir"]).files) == 1
    assert len(scan_images([tmp_path / "@eaDir" / "a.jpg"]).files) == 1


# --- by content


def test_names_that_say_nothing(put, tmp_path, draw, encode):
    put("good.jpg")
    for i, name in enumerate(("photo", "a.jpg_large", "b.download", "c.jpg~", "d.tmp")):
        (tmp_path / name).write_bytes(encode(draw(seed=i + 1), "PNG" if i % 2 else "JPEG"))
    (tmp_path / "noise").write_bytes(bytes(100))
    (tmp_path / "empty").touch()
    (tmp_path / "report.pdf").write_bytes(encode(draw(seed=9), "JPEG"))
    os.mkfifo(tmp_path / "pipe")
    report = scan_images([tmp_path])
    assert names(report) == ["good.jpg"]
    assert (report.n_by_content, report.others) == (5, {"other": 8, "document": 1})
    found = scan_images([tmp_path], by_content=True)
    assert names(found) == ["a.jpg_large", "b.download", "c.jpg~", "d.tmp", "good.jpg", "photo"]
    assert (found.n_by_content, found.others, found.failures) == (0, {"other": 3, "document": 1}, [])


def test_other_files_are_counted_by_kind(put, tmp_path):
    put("good.jpg")
    for name in ("a.PDF", "b.docx", "c.mp4", "d.MOV", "e.mp3", "f.txt", "g.xmp", "h.zip", "i.dat", "j"):
        (tmp_path / name).touch()
    report = scan_images([tmp_path])
    assert report.others == {"document": 2, "video": 2, "audio": 1, "text": 2, "archive": 1, "other": 2}
    assert report.n_other == 10
    assert report.left_out() == report.others


# --- camera raw


def raw_file(previews, *, order="<", orientation=1, magic=42):
    """Build a file like a camera's raw: an IFD0 with a small preview, and a SubIFD for each further one."""
    entries, blobs, place = [], b"", 2000
    directories = []
    for data in previews:
        directories.append([(513, 4, place + len(blobs)), (514, 4, len(data))])
        blobs += data
    sensor = b"\xff\xd8\xff\xc3\0\x0b\x0e" + struct.pack(">HH", 4000, 6000) + b"\1\1\x11\0" + bytes(5000)
    directories.append([(259, 3, 7), (273, 4, place + len(blobs)), (279, 4, len(sensor))])
    blobs += sensor
    starts, body = [], b""
    for directory in directories[1:]:
        starts.append(400 + len(body))
        body += pack(directory, order) + bytes(4)
    entries = [*directories[0], (274, 3, orientation)]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", magic, 8)
    first = pack([*sorted(entries), (330, 4, 300)], order, counts={330: len(starts)})
    pointers = struct.pack(f"{order}{len(starts)}I", *starts)
    if len(starts) == 1:
        first = first.replace(struct.pack(f"{order}I", 300), struct.pack(f"{order}I", starts[0]))
    return (head + first).ljust(300, b"\0") + pointers.ljust(100, b"\0") + body.ljust(place - 400, b"\0") + blobs


def pack(entries, order, counts=()):
    out = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        data = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        out += struct.pack(f"{order}HHI", tag, kind, dict(counts).get(tag, 1)) + data
    return out


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["a.nef", "a.dng", "a.ARW"])
def test_largest_preview_is_read(tmp_path, draw, encode, order, name):
    previews = [
        encode(draw(*size, seed=i), "JPEG", quality=95) for i, size in enumerate([(160, 120), (640, 480), (400, 300)])
    ]
    path = tmp_path / name
    path.write_bytes(raw_file(previews, order=order))
    (tmp_path / "alone.jpg").write_bytes(previews[1])
    assert read_image(path).tobytes() == read_image(tmp_path / "alone.jpg").tobytes()
    report = scan_images([path])
    assert (report.records[0].width, report.records[0].height) == (640, 480)


def test_orientation_of_the_raw_file_or_of_the_preview(tmp_path, draw, encode):
    path = tmp_path / "a.nef"
    path.write_bytes(raw_file([encode(draw(640, 480), "JPEG")], orientation=6))
    assert read_image(path).size == (480, 640)
    assert scan_images([path]).records[0].width == 480
    exif = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x08\0\0\0\0\0\0\0"  # 8
    path.write_bytes(raw_file([encode(draw(640, 480), "JPEG", exif=exif)], orientation=6))
    turned = read_image(path)
    assert turned.size == (480, 640)
    path.write_bytes(raw_file([encode(draw(640, 480), "JPEG")], orientation=6))
    assert turned.tobytes() != read_image(path).tobytes()


def test_fujifilm(tmp_path, draw, encode):
    data = encode(draw(640, 480), "JPEG")
    path = tmp_path / "a.raf"
    path.write_bytes(b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0") + struct.pack(">II", 200, len(data)) + bytes(108) + data)
    assert read_image(path).size == (640, 480)


@pytest.mark.parametrize("magic", [0x4F52, 0x5352])
def test_olympus(tmp_path, draw, encode, magic):
    path = tmp_path / "a.orf"
    path.write_bytes(raw_file([encode(draw(640, 480), "JPEG")], magic=magic))
    assert read_image(path).size == (640, 480)


def test_panasonic(tmp_path, draw, encode):
    data = encode(draw(640, 480), "JPEG")
    path = tmp_path / "a.rw2"
    head = (
        b"IIU\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", 1)
        + struct.pack("<HHII", 0x2E, 7, len(data), 200)
        + bytes(4)
    )
    path.write_bytes(head.ljust(200, b"\0") + data)
    assert read_image(path).size == (640, 480)


def test_small_preview_is_not_enough(tmp_path, draw, encode):
    path = tmp_path / "a.nef"
    path.write_bytes(raw_file([encode(draw(160, 120), "JPEG")]))
    with pytest.raises(ImageReadError, match="without a large preview") as caught:
        read_image(path)
    assert caught.value.code == "ERROR_UNSUPPORTED"


def test_damaged_raw_files_end_with_one_line(tmp_path, draw, encode, rng):
    """Directories that point to themselves, beyond the end, or anywhere: nothing is raised, and nothing hangs."""
    data = raw_file([encode(draw(640, 480), "JPEG")])
    path = tmp_path / "a.nef"
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, 420, 6):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged[: rng.integers(1, len(data))]))
        with path.open("rb") as file:
            find_preview(file)
        report = scan_images([path])
        assert len(report.files) + len(report.failures) == 1


def test_raw_and_jpeg_are_one_image_with_two_paths(tmp_path, draw, encode):
    for i in range(3):
        (tmp_path / f"IMG_{i}.JPG").write_bytes(encode(draw(640, 480, seed=i), "JPEG"))
        (tmp_path / f"IMG_{i}.CR2").write_bytes(raw_file([encode(draw(320, 240, seed=i), "JPEG")]))
    (tmp_path / "IMG_9.CR2").write_bytes(raw_file([encode(draw(320, 240, seed=9), "JPEG")]))
    report = scan_images([tmp_path])
    assert [record.path.name for record in report.records] == ["IMG_0.JPG", "IMG_1.JPG", "IMG_2.JPG", "IMG_9.CR2"]
    assert names(report) == [f"IMG_{i}.{s}" for i in range(3) for s in ("CR2", "JPG")] + ["IMG_9.CR2"]
    assert [file.is_companion for file in report.files] == [True, False] * 3 + [False]
    assert len({file.id for file in report.files}) == 4
    known = {file.path: file for file in report.files}
    sizes = {record.id: (record.width, record.height) for record in report.records}
    assert scan_images([tmp_path], known=known, sizes=sizes) == report
    (tmp_path / "IMG_1.JPG").unlink()
    (tmp_path / "IMG_2.JPG").write_bytes(b"damaged")
    again = scan_images([tmp_path], known=known, sizes=sizes)
    assert [record.path.name for record in again.records] == ["IMG_0.JPG", "IMG_1.CR2", "IMG_2.CR2", "IMG_9.CR2"]
    assert [failure.path.name for failure in again.failures] == ["IMG_2.JPG"]
    assert again == scan_images([tmp_path])


# --- header before hash, changes, transient errors


def test_a_large_file_that_is_no_image_is_not_hashed(tmp_path, monkeypatch):
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(2**31)
    monkeypatch.setattr(scanning.hashlib, "file_digest", lambda *_: pytest.fail("hashed"))
    (failure,) = scan_images([tmp_path]).failures
    assert (failure.code, failure.n_bytes, failure.id) == ("ERROR_CORRUPT_IMAGE", 2**31, "")


def test_a_file_that_is_written_to_while_it_is_scanned(put, tmp_path, monkeypatch):
    path = put("a.jpg")
    real, calls = scanning.read_size, []

    def grow(file, suffix):
        calls.append(suffix)
        if len(calls) <= n_times:
            with path.open("ab") as writer:
                writer.write(b"more")
        return real(file, suffix)

    monkeypatch.setattr(scanning, "_PAUSE_S", 0)
    monkeypatch.setattr(scanning, "read_size", grow)
    n_times = 2
    (failure,) = scan_images([tmp_path]).failures
    assert failure.code == "ERROR_CHANGED"
    n_times = 3
    assert len(scan_images([tmp_path]).files) == 1, "the second try went through"


@pytest.mark.parametrize("number", [5, 116, 110])
def test_a_network_that_fails_once(put, tmp_path, monkeypatch, number):
    put("a.jpg")
    real, calls = scanning.open_regular, []

    def fail(path):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(number, os.strerror(number))
        return real(path)

    monkeypatch.setattr(scanning, "_PAUSE_S", 0)
    monkeypatch.setattr(scanning, "open_regular", fail)
    assert len(scan_images([tmp_path]).files) == 1
    monkeypatch.setattr(scanning, "open_regular", lambda path: calls.clear() or fail(path))
    (failure,) = scan_images([tmp_path]).failures
    assert failure.code == "ERROR_IO"
