import io
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.errors import ImageReadError
from covey.images import MAX_PIXELS, read_image
from covey.images import _read as reading
from covey.images._decode import _loaded_images as loading

TRUNCATABLE = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"]


def code_of(path, **kwargs):
    with pytest.raises(ImageReadError) as caught:
        read_image(path, **kwargs)
    assert str(caught.value)
    assert str(path) not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("format_", TRUNCATABLE)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_half_a_picture_is_none(tmp_path, draw, encode, format_, kept):
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (100, 120, 3), dtype=np.uint8))
    data = encode(noisy, format_)
    path = tmp_path / "cut"
    path.write_bytes(data)
    assert read_image(path).size == (120, 100)
    cut = kept - 0.05 * (format_ == "JPEG")  # of which 95 % of the rows are enough
    path.write_bytes(data[: int(len(data) * cut)])
    assert code_of(path) == "ERROR_CORRUPT_IMAGE"
    assert code_of(path, min_size=(30, 30)) == "ERROR_CORRUPT_IMAGE"


def test_truncated_progressive_jpeg(tmp_path, draw, encode):
    data = encode(draw(400, 300), "JPEG", progressive=True)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: len(data) // 2])
    assert code_of(path) == "ERROR_CORRUPT_IMAGE"


def test_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert code_of(tmp_path / "a.jpg") == "ERROR_ZERO_SIZE_FILE"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Dear reader,\nthis is a letter.", "text"),
        ("Grüße, 你好, ".encode() * 9, "text"),
        (b"<!DOCTYPE html><html>", "text"),
        (bytes(range(100, 250)) * 3, "64 65 66"),
        (b"\xff", "ff"),
        (b"P", "text"),
        (b"\0\0\0\x18ftypmp42", "00 00 00 18"),
    ],
)
def test_other_content_named_jpg(tmp_path, content, words):
    path = tmp_path / "letter.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_CORRUPT_IMAGE"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0", "develop"),
        ("a.tif", b"II*\0\x10\0\0\0CR\x02\0", "develop"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "develop"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "develop"),
        ("a.orf", b"IIRO\x08\0\0\0", "develop"),
        ("a.nef", b"nothing known", "develop"),
        ("a.psd", b"8BPS\0\x01", "export"),
        ("a.exr", b"v/1\x01\x02\0\0\0", "tone-map"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "render"),
        ("a.svg", b"<?xml version='1.0'?><svg/>", "render"),
    ],
)
def test_pictures_that_covey_cannot_read(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_UNSUPPORTED"


def test_raw_data_are_not_mistaken_for_the_preview_in_them(tmp_path, draw, encode):
    path = tmp_path / "a.dng"
    path.write_bytes(encode(draw(), "TIFF"))
    assert code_of(path) == "ERROR_UNSUPPORTED"


def test_jpeg_with_a_camera_suffix_is_read(tmp_path, draw, encode):
    path = tmp_path / "a.dng"
    path.write_bytes(encode(draw(), "JPEG"))
    assert read_image(path).size == (64, 48)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heif_without_its_package(tmp_path, monkeypatch, brand):
    monkeypatch.setattr(reading, "find_spec", lambda name: None if name == "pi_heif" else object())
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(50))
    with pytest.raises(ImageReadError, match=r"pip install 'covey\[heif\]'") as caught:
        read_image(path)
    assert caught.value.code == "ERROR_UNSUPPORTED"


@pytest.mark.parametrize("format_", ["WEBP", "AVIF", "JPEG2000"])
def test_format_that_this_pillow_was_built_without(tmp_path, draw, encode, monkeypatch, format_):
    path = tmp_path / "a"
    path.write_bytes(encode(draw(), format_))
    monkeypatch.setattr(reading.features, "check", lambda name: False)
    with pytest.raises(ImageReadError, match="pillow") as caught:
        read_image(path)
    assert caught.value.code == "ERROR_UNSUPPORTED"


def test_huge_canvas_is_refused_before_it_is_decoded(tmp_path, chunked_png):
    path = tmp_path / "bomb.png"
    path.write_bytes(chunked_png(60_000, 50_000))
    with pytest.raises(
        ImageReadError, match=r"60000 x 50000 = 3,000 million pixels; the limit is 268 million"
    ) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_TOO_LARGE"


def test_limit_is_ours_and_not_pillows(tmp_path, chunked_png):
    """Between Pillow's warning and covey's limit a picture is read, and nothing is said."""
    path = tmp_path / "large.png"
    path.write_bytes(chunked_png(16_384, 16_384))
    assert 16_384**2 == MAX_PIXELS > 2 * Image.MAX_IMAGE_PIXELS
    with path.open("rb") as file:
        assert reading.read_size(file, ".png") == (16_384, 16_384)
    path.write_bytes(chunked_png(16_385, 16_384))
    assert code_of(path) == "ERROR_TOO_LARGE"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "ERROR_MEMORY"),
        (OSError("out of memory error when reading image file"), "ERROR_MEMORY"),
        (Image.DecompressionBombError("10 exceeds 5"), "ERROR_TOO_LARGE"),
        (OSError(5, "Input/output error"), "ERROR_IO"),
        (OSError(116, "Stale file handle"), "ERROR_IO"),
        (TimeoutError(110, "Connection timed out"), "ERROR_IO"),
        (PermissionError(13, "Permission denied"), "ERROR_PERMISSION"),
    ],
    ids=str,
)
def test_limits_of_memory_and_of_pillows_own(put, monkeypatch, error, code):
    """Pillow's readers compare frames and tiles with its limit by themselves."""
    path = put("a.png")

    def fail(image, **_):
        raise error

    monkeypatch.setattr(loading, "to_rgb", fail)
    assert code_of(path) == code


@pytest.mark.parametrize(("error", "words"), [(ValueError("two\n  lines\n"), "two lines$"), (KeyError(), "KeyError$")])
def test_whatever_a_decoder_raises_is_said_in_one_line(put, monkeypatch, error, words):
    path = put("a.png")

    def fail(image, **_):
        raise error

    monkeypatch.setattr(loading, "to_rgb", fail)
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_CORRUPT_IMAGE"


def test_refusing_a_huge_canvas_takes_no_memory(tmp_path, chunked_png):
    path = tmp_path / "bomb.png"
    path.write_bytes(chunked_png(60_000, 50_000))
    program = (
        "import resource, sys, warnings; warnings.simplefilter('error')\n"
        "from pathlib import Path; from covey.errors import ImageReadError; from covey.images import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_image(Path(sys.argv[1]))\n"
        "except ImageReadError as error: assert error.code == 'ERROR_TOO_LARGE'\n"
        "else: raise SystemExit('was read')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # KiB; the canvas would take 12 GB
    assert done.stderr == ""


def test_missing_file_and_dangling_link(tmp_path):
    assert code_of(tmp_path / "gone.jpg") == "ERROR_MISSING_FILE"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    assert code_of(tmp_path / "link.jpg") == "ERROR_MISSING_FILE"
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert code_of(tmp_path / "loop.jpg") == "ERROR_MISSING_FILE"
    with pytest.raises(ImageReadError) as caught:
        read_image(tmp_path / "zero\0byte.jpg")
    assert caught.value.code == "ERROR_MISSING_FILE"


def test_folder_named_like_a_picture(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    assert code_of(tmp_path / "x.jpg") == "ERROR_UNSUPPORTED"


@pytest.mark.timeout(20)
def test_pipe_and_device_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert code_of(tmp_path / "pipe.jpg") == "ERROR_UNSUPPORTED"
    assert code_of(Path("/dev/zero")) == "ERROR_UNSUPPORTED"


def test_forbidden_file(put, monkeypatch):
    path = put("a.jpg")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert code_of(path) == "ERROR_PERMISSION"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file_for_ordinary_people(put):
    path = put("a.jpg")
    path.chmod(0)
    assert code_of(path) == "ERROR_PERMISSION"


def test_disk_error_while_reading(put, monkeypatch):
    class BadDisk(io.BytesIO):
        def read(self, *args):
            raise OSError(5, "Input/output error")

    path = put("a.jpg")
    monkeypatch.setattr(reading, "open_regular", lambda path: BadDisk())
    with pytest.raises(ImageReadError, match="Input/output error") as caught:
        read_image(path)
    assert caught.value.code == "ERROR_IO"


# --- quiet ----------------------------------------------------------------------------------------------------------


def test_pillows_warnings_stay_inside_and_the_callers_filters_are_kept(tmp_path, draw, encode):
    """This TIFF's directory is cut off; Pillow warns of it before it fails."""
    data = encode(draw(), "TIFF", compression="tiff_lzw")
    path = tmp_path / "cut.tif"
    path.write_bytes(data[: len(data) // 2])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        assert code_of(path) == "ERROR_CORRUPT_IMAGE"
        assert warnings.filters == before
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(w.message) for w in seen] == ["mine"]


def test_threads_leave_the_filters_as_they_were(put):
    path = put("a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", size=(200, 200))
    before = list(warnings.filters)
    start = threading.Barrier(4)

    def work(_):
        start.wait()
        return [read_image(path).size for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert all(sizes == [(200, 200)] * 20 for sizes in pool.map(work, range(4)))
    assert warnings.filters == before
