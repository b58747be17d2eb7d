import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from covey.errors import ImageReadError
from covey.images import _read as reading
from covey.images import read_image
from covey.images._decode._jxl_header import read_jxl_size

SAMPLES = Path(__file__).parent / "samples"

LOSSLESS = ["PNG", "TIFF", "BMP", "PPM", "GIF", "JPEG2000", "WEBP"]


def pixels(image):
    return np.asarray(image).astype(int)


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


def test_16_bit_colour_png(tmp_path, chunked_png):
    """Pillow cannot write one, so this test does."""
    row = np.zeros((256, 3), dtype=">u2")
    row[:, 0] = np.arange(256) * 257
    rows = b"".join(b"\0" + row.tobytes() for _ in range(8))
    path = tmp_path / "deep.png"
    path.write_bytes(chunked_png(256, 8, 16, zlib.compress(rows)))
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


# --- formats of extras


def test_heic_of_a_phone(tmp_path):
    """The sample was drawn here and encoded with libheif: a white mark above left, blue below right, red elsewhere."""
    pytest.importorskip("pi_heif")
    image = read_image(SAMPLES / "drawn.heic")
    assert image.size == (64, 48)
    for place, color in {(5, 5): (255, 255, 255), (50, 40): (30, 60, 200), (50, 5): (200, 40, 40)}.items():
        assert np.abs(np.array(image.getpixel(place)) - color).max() <= 4


@pytest.mark.parametrize("use_container", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (37, 1000), (513, 257), (320, 180)])
def test_jpeg_xl(tmp_path, draw, encode, size, use_container):
    pytest.importorskip("pillow_jxl")
    path = tmp_path / "a.jxl"
    path.write_bytes(encode(draw(*size), "JXL", lossless=True, use_container=use_container))
    assert np.array_equal(pixels(read_image(path)), pixels(draw(*size)))
    with path.open("rb") as file:
        assert read_jxl_size(file) == size


def test_jpeg_xl_bomb_is_refused_by_its_header(tmp_path):
    """Both sides are 2**18: no ratio, and selector 2 of 18 bits for each."""
    pytest.importorskip("pillow_jxl")
    side = (2 << 0) | ((2**18 - 1) << 2)
    bits = (side << 1) | (side << (1 + 20 + 3))
    path = tmp_path / "a.jxl"
    path.write_bytes(b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(20))
    with pytest.raises(ImageReadError, match="262144 x 262144") as caught:
        read_image(path)
    assert caught.value.code == "ERROR_TOO_LARGE"


@pytest.mark.parametrize("size", [(800, 600), (801, 599)])
def test_jpeg_2000_is_decoded_at_a_resolution_level(tmp_path, draw, encode, size):
    path = tmp_path / "a.jp2"
    path.write_bytes(encode(draw(*size), "JPEG2000", num_resolutions=3))
    whole = read_image(path)
    most = 4 if size == (800, 600) else 2  # two halvings are all it has, and Pillow cannot decode 200.25 as 201
    for min_size, times in (((400, 299), 2), ((401, 10), 1), ((10, 10), most)):
        image = read_image(path, min_size=min_size)
        assert image.size == tuple(-(-side // times) for side in size)
        assert np.abs(pixels(image) - pixels(whole.resize(image.size, Image.Resampling.BOX))).mean() < 6
