import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from covey.errors import ImageReadError
from covey.images import MAX_PIXELS, read_image
from covey.images import _read as reading

LOSSLESS = ["PNG", "TIFF", "BMP", "PPM", "GIF", "JPEG2000", "WEBP"]
TRUNCATABLE = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"]


def pixels(image):
    return np.asarray(image).astype(int)


def code_of(path, **kwargs):
    with pytest.raises(ImageReadError) as caught:
        read_image(path, **kwargs)
    assert str(caught.value)
    assert str(path) not in str(caught.value)
    return caught.value.code


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("format_", LOSSLESS)
def test_lossless_formats_come_back_as_they_were(tmp_path, draw, encode, format_):
    image = draw().quantize(64).convert("RGB") if format_ == "GIF" else draw()
    options = {"lossless": True} if format_ == "WEBP" else {}
    path = tmp_path / "picture.bin"  # the suffix decides nothing
    path.write_bytes(encode(image, format_, **options))
    result = read_image(path)
    assert result.mode == "RGB"
    assert np.array_equal(pixels(result), pixels(image))


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_back_nearly_as_they_were(tmp_path, draw, encode, format_):
    path = tmp_path / "picture"
    path.write_bytes(encode(draw(), format_, quality=95))
    assert np.abs(pixels(read_image(path)) - pixels(draw())).mean() < 3


def test_gif_named_jpg_is_read_by_its_content(tmp_path, draw, encode):
    path = tmp_path / "liar.jpg"
    path.write_bytes(encode(draw(), "GIF"))
    assert read_image(path).size == (64, 48)


def test_the_file_is_closed_and_no_metadata_stay(put):
    path = put("a.jpg", icc_profile=b"profile" * 10, comment="words")
    image = read_image(path)
    path.unlink()
    assert image.info == {}
    assert image.getpixel((0, 0)) is not None
    assert np.array(image).shape == (48, 64, 3)


# --- depth, inks, transparency ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, format_):
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None], 16, axis=0)
    path = tmp_path / "deep"
    Image.fromarray(ramp).save(path, format_)
    assert np.array_equal(pixels(read_image(path))[0, :, 0], np.arange(256))


def test_big_endian_16_bit_grey(tmp_path):
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 256 8 65535\n" + np.tile(np.arange(256, dtype=">u2") * 257, 8).tobytes())
    assert np.array_equal(pixels(read_image(path))[0, :, 1], np.arange(256))


def test_16_bit_colour_png(tmp_path):
    """Pillow cannot write one, so this test does."""
    row = np.zeros((256, 3), dtype=">u2")
    row[:, 0] = np.arange(256) * 257
    rows = b"".join(b"\0" + row.tobytes() for _ in range(8))
    header = struct.pack(">IIBBBBB", 256, 8, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )
    result = pixels(read_image(path))
    assert np.array_equal(result[3, :, 0], np.arange(256))
    assert not result[:, :, 1:].any()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 9, dtype=np.float32), [0, 32, 64, 96, 128, 159, 191, 223, 255]),
        (np.linspace(-10, 10, 9, dtype=np.float32), [0, 32, 64, 96, 128, 159, 191, 223, 255]),
        (np.array([0, np.nan, np.inf, 1], dtype=np.float32), [0, 0, 0, 255]),
        (np.full(4, 7, dtype=np.float32), [0, 0, 0, 0]),
        (np.array([0, 32768, 65535, 65535], dtype=np.int32), [0, 128, 255, 255]),
        (np.array([-100, 50, 100, 100], dtype=np.int32), [0, 191, 255, 255]),
        (np.array([0, 500_000, 1_000_000, 0], dtype=np.int32), [0, 128, 255, 0]),
    ],
)
def test_32_bit_grey(tmp_path, values, expected):
    path = tmp_path / "grey.tif"
    Image.fromarray(np.tile(values, (8, 1))).save(path)
    assert pixels(read_image(path))[0, :, 0].tolist() == expected


def test_one_bit(tmp_path):
    path = tmp_path / "bits.png"
    Image.fromarray(np.eye(16, dtype=bool)).save(path)
    assert np.array_equal(pixels(read_image(path))[:, :, 2], np.eye(16) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (128, 177), (255, 100)])
def test_transparency_shows_white(tmp_path, mode, alpha, expected):
    colour = (100, 100, 100, alpha) if mode == "RGBA" else (100, alpha)
    path = tmp_path / "glass.png"
    Image.new(mode, (16, 16), colour).save(path)
    assert set(pixels(read_image(path)).ravel()) == {expected}


def test_palette_with_one_transparent_colour(tmp_path):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.paste(1, (0, 0, 8, 16))
    path = tmp_path / "palette.png"
    image.save(path, transparency=0)
    result = read_image(path)
    assert result.getpixel((0, 0)) == (200, 100, 0)
    assert result.getpixel((15, 0)) == (255, 255, 255)


def test_palette_with_half_transparent_colours(tmp_path):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 100, 100, 100])
    image.paste(1, (0, 0, 8, 16))
    path = tmp_path / "palette.png"
    image.save(path, transparency=bytes([255, 128]))
    result = read_image(path)
    assert result.getpixel((15, 0)) == (0, 0, 0)
    assert result.getpixel((0, 0)) == (177, 177, 177)


def test_one_rgb_colour_declared_transparent(tmp_path):
    image = Image.new("RGB", (16, 16), (1, 2, 3))
    image.paste((9, 9, 9), (0, 0, 8, 16))
    path = tmp_path / "keyed.png"
    image.save(path, transparency=(1, 2, 3))
    result = read_image(path)
    assert result.getpixel((0, 0)) == (9, 9, 9)
    assert result.getpixel((15, 0)) == (255, 255, 255)


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    """Adobe writes CMYK inverted and says so in a marker, as Pillow does: white must stay white."""
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(path, "JPEG")
    assert b"Adobe" in path.read_bytes()
    assert pixels(read_image(path)).min() > 250
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, "JPEG")
    red, green, blue = read_image(path).getpixel((8, 8))
    assert red > 240
    assert max(green, blue) < 20


def test_ycck_jpeg(tmp_path):
    """The Adobe marker's last byte says that planes are Y, Cb, Cr and K: no Y and no colour is, inverted, no ink."""
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (255, 127, 127, 0)).save(path, "JPEG", quality=100)
    data = bytearray(path.read_bytes())
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    path.write_bytes(bytes(data))
    assert pixels(read_image(path)).min() > 250


# --- frames and turns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "options"), [("gif", {}), ("webp", {"lossless": True}), ("png", {}), ("tif", {})])
def test_first_frame_or_page(tmp_path, suffix, options):
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"many.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert read_image(path).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, draw, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {} if suffix in ("png", "tif") else {"quality": 95}
    draw().save(path, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    result = read_image(path)
    assert result.size == expected.size == ((64, 48) if orientation < 5 else (48, 64))
    assert np.array_equal(pixels(result), pixels(expected))
    with path.open("rb") as file:
        assert reading.read_size(file, path.suffix) == result.size


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0broken", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"x"]
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_does_not_spoil_a_picture(put, exif, suffix):
    assert read_image(put(f"a.{suffix}", exif=exif)).size == (64, 48)


def test_absurd_orientation_counts_as_none(put):
    exif = Image.Exif()
    exif[0x0112] = 77
    assert read_image(put("a.jpg", exif=exif)).size == (64, 48)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_broken_colour_profile_does_not_spoil_a_picture(put, suffix):
    assert read_image(put(f"a.{suffix}", icc_profile=b"no profile at all")).size == (64, 48)


# --- scaled decoding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("min_size", "expected"),
    [
        (None, (800, 600)),
        ((800, 600), (800, 600)),
        ((401, 10), (800, 600)),
        ((400, 300), (400, 300)),
        ((10, 160), (400, 300)),
        ((100, 75), (100, 75)),
        ((1, 1), (100, 75)),
        ((5000, 5000), (800, 600)),
    ],
)
def test_jpeg_is_decoded_no_smaller_than_asked(put, min_size, expected):
    assert read_image(put("a.jpg", size=(800, 600)), min_size=min_size).size == expected


def test_scaled_decoding_heeds_the_turn(put):
    """The stored picture is 800 x 600, the upright one 600 x 800: at least 150 x 400 allows a half, not a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = put("a.jpg", size=(800, 600), exif=exif)
    assert read_image(path, min_size=(150, 400)).size == (300, 400)
    assert read_image(path, min_size=(400, 150)).size == (600, 800)


def test_scaled_decoding_shows_the_same_picture(put):
    path = put("a.jpg", size=(800, 600), quality=95)
    small = read_image(path, min_size=(200, 150))
    assert small.size == (200, 150)
    expected = read_image(path).resize((200, 150), Image.Resampling.BOX)
    assert np.abs(pixels(small) - pixels(expected)).mean() < 1.5


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_scaled_decoding_of_other_jpeg_modes(tmp_path, draw, mode):
    path = tmp_path / "a.jpg"
    draw(800, 600).convert(mode).save(path)
    assert read_image(path, min_size=(200, 150)).size == (200, 150)


def test_other_formats_are_decoded_whole(put):
    assert read_image(put("a.png", size=(800, 600)), min_size=(10, 10)).size == (800, 600)


def test_min_size_below_one_pixel_is_the_callers_mistake(put):
    with pytest.raises(ValueError, match="min_size"):
        read_image(put("a.jpg"), min_size=(0, 5))


# --- what cannot be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", TRUNCATABLE)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_half_a_picture_is_none(tmp_path, draw, encode, format_, kept):
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (100, 120, 3), dtype=np.uint8))
    data = encode(noisy, format_)
    path = tmp_path / "cut"
    path.write_bytes(data)
    assert read_image(path).size == (120, 100)
    path.write_bytes(data[: int(len(data) * kept)])
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
        ("a.jxl", b"\xff\x0a\xfa", "convert"),
        ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n", "convert"),
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
    with pytest.raises(ImageReadError, match="pip install pi-heif") as caught:
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


def test_huge_canvas_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(60_000, 50_000))
    with pytest.raises(
        ImageReadError, match=r"60000 x 50000 = 3,000 million pixels; the limit is 268 million"
    ) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_TOO_LARGE"


def test_limit_is_ours_and_not_pillows(tmp_path, monkeypatch):
    """Between Pillow's warning and covey's limit a picture is read, and nothing is said."""
    path = tmp_path / "large.png"
    path.write_bytes(huge_png(16_384, 16_384))
    assert 16_384**2 == MAX_PIXELS > 2 * Image.MAX_IMAGE_PIXELS
    with path.open("rb") as file:
        assert reading.read_size(file, ".png") == (16_384, 16_384)
    path.write_bytes(huge_png(16_385, 16_384))
    assert code_of(path) == "ERROR_TOO_LARGE"


def test_pillows_own_limit_has_the_same_code(tmp_path, draw, encode, monkeypatch):
    """The WebP reader compares with Pillow's limit by itself."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.webp"
    path.write_bytes(encode(draw(), "WEBP"))
    assert code_of(path) == "ERROR_TOO_LARGE"


def test_want_of_memory(put, monkeypatch):
    path = put("a.png")

    def fail(image):
        raise MemoryError

    monkeypatch.setattr(reading, "to_rgb", fail)
    assert code_of(path) == "ERROR_TOO_LARGE"


def test_refusing_a_huge_canvas_takes_no_memory(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(60_000, 50_000))
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
    assert caught.value.code == "ERROR_CORRUPT_IMAGE"


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
