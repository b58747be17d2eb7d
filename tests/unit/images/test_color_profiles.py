"""Embedded color profiles: what an image shows is the same with a profile and as an sRGB copy."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from covey.backbones import load_backbone
from covey.images import encode_thumbnail, preprocess, read_image
from covey.images._read import decode_file

# Chromaticities (x, y) of red, green and blue, white at D65
SPACES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "display_p3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "adobe_rgb": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "prophoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
}
D65, D50 = np.array([0.95047, 1.0, 1.08883]), np.array([0.96422, 1.0, 0.82521])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
GAMMA = 2.2


def matrix(space):
    """Return RGB -> XYZ at D50, the white of profiles: the matrix of the chromaticities, adapted by Bradford's."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in SPACES[space]]).T
    to_xyz = columns * np.linalg.solve(columns, D65)
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
    return adapt @ to_xyz


def icc(space, kind, tags):
    """Put tags into an ICC profile of version 2 (ICC.1:2001-04, 6.1)."""
    table, body, place = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        data = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    n_bytes = place + len(body)
    head = struct.pack(
        ">I4sI4s4s4s", n_bytes, b"none", 0x02400000, kind, space, b"Lab " if space == b"CMYK" else b"XYZ "
    )
    head = head.ljust(36, b"\0") + b"acsp" + bytes(28) + struct.pack(">iii", *fixed(D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def fixed(values):
    return [round(value * 65536) for value in values]


def xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *fixed(values))


def curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def rgb_profile(space):
    columns = matrix(space).T
    tags = {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return icc(
        b"RGB ", b"mntr", {b"wtpt": xyz(D50), **tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(GAMMA))}
    )


def gray_profile(gamma):
    return icc(b"GRAY", b"mntr", {b"wtpt": xyz(D50), b"kTRC": curve(gamma)})


def cmyk_profile():
    """Make a profile of a printer whose ink scatters: paper is gray-yellow, full black ink is dark gray.

    ``lut8`` (6.5.7) with two grid points an ink: 16 corners, each with its Lab color of 8 bits.
    """
    corners = []
    for inks in np.ndindex(2, 2, 2, 2):
        light = 230 * np.prod([1 - 0.5 * ink for ink in inks])
        corners += [round(light), 128 - 30 * inks[0] + 40 * inks[1], 138 - 40 * inks[0] + 50 * inks[2]]
    ramp = bytes(range(256))
    identity = fixed(np.eye(3).ravel())
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *identity) + 4 * ramp + bytes(corners) + 3 * ramp
    return icc(b"CMYK", b"prtr", {b"wtpt": xyz(D50), b"A2B0": lut})


def to_srgb(pixels, space):
    """Compute what colors of a space are in sRGB (IEC 61966-2-1), in float64."""
    linear = (pixels / 255.0) ** GAMMA @ (np.linalg.inv(matrix("srgb")) @ matrix(space)).T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def cosine(a, b):
    a, b = np.asarray(a, dtype=float).ravel(), np.asarray(b, dtype=float).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def picture(draw):
    """Draw colors that the narrowest space has too, so that nothing is clipped."""
    return Image.fromarray((60 + 0.55 * np.asarray(draw(320, 240, seed=4))).astype(np.uint8))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("space", ["display_p3", "adobe_rgb", "prophoto"])
def test_profile_and_srgb_copy_look_the_same(tmp_path, picture, space, format_):
    options = (
        {"quality": 100, "subsampling": 0} if format_ == "JPEG" else {"lossless": True} if format_ == "WEBP" else {}
    )
    picture.save(tmp_path / "own", format_, icc_profile=rgb_profile(space), **options)
    expected = Image.fromarray(to_srgb(np.asarray(picture), space))
    expected.save(tmp_path / "copy", "PNG")
    image, copy = read_image(tmp_path / "own"), read_image(tmp_path / "copy")
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(copy))
    assert difference.mean() < 1
    assert format_ == "JPEG" or difference.max() <= 2
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(copy)).mean() > 4, "the profile says something"
    thumbnails = [Image.open(io.BytesIO(encode_thumbnail(each))).convert("RGB") for each in (image, copy)]
    assert cosine(*thumbnails) > 0.999
    for name in ("color_histogram", "random_patches"):
        backbone = load_backbone(name)
        rows = backbone.encode_images(np.stack([preprocess(each, backbone.spec) for each in (image, copy)]))
        assert cosine(*rows) > 0.999


@pytest.mark.parametrize("gamma", [1.5, 1.8])
def test_gray_profile(tmp_path, gamma):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "gray.png", icc_profile=gray_profile(gamma))
    linear = (np.arange(256) / 255) ** gamma
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(np.asarray(read_image(tmp_path / "gray.png"))[0, :, 1] - expected).max() <= 2


def test_cmyk_profile(tmp_path):
    """Black ink alone is a dark yellowish gray where the profile says so; paper is white."""
    shown = {}
    for name, inks in {"paper": (0, 0, 0, 0), "black": (0, 0, 0, 255)}.items():
        Image.new("CMYK", (16, 16), inks).save(tmp_path / f"{name}.tif", icc_profile=cmyk_profile())
        Image.new("CMYK", (16, 16), inks).save(tmp_path / f"{name}-plain.tif")
        shown[name] = read_image(tmp_path / f"{name}.tif").getpixel((8, 8))
        shown[f"{name}-plain"] = read_image(tmp_path / f"{name}-plain.tif").getpixel((8, 8))
    assert shown["paper"] == shown["paper-plain"] == (255, 255, 255)
    assert shown["black-plain"] == (0, 0, 0)
    red, _, blue = shown["black"]
    assert 80 < blue < red - 10 < 120


def test_transparency_is_kept(tmp_path):
    image = Image.new("RGBA", (16, 16), (0, 200, 0, 255))
    image.paste((0, 200, 0, 0), (8, 0, 16, 16))
    image.save(tmp_path / "a.png", icc_profile=rgb_profile("adobe_rgb"))
    result = read_image(tmp_path / "a.png")
    assert result.getpixel((12, 8)) == (255, 255, 255)
    expected = to_srgb(np.array([[0, 200, 0]]), "adobe_rgb")[0]
    assert np.abs(np.array(result.getpixel((3, 8))) - expected).max() <= 2
    palette = image.convert("RGB").quantize(4)
    palette.save(tmp_path / "p.png", icc_profile=rgb_profile("adobe_rgb"))
    assert np.abs(np.array(read_image(tmp_path / "p.png").getpixel((3, 8))) - expected).max() <= 2


def test_deep_gray_with_a_profile(tmp_path):
    ramp = np.tile((np.arange(256) * 257).astype(np.uint16), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tif", icc_profile=gray_profile(1.0))
    result = np.asarray(read_image(tmp_path / "a.tif"))[0, :, 0]
    assert result[64] > 130
    assert (result[0], result[255]) == (0, 255)


def test_srgb_itself_changes_no_pixel(tmp_path, draw):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    draw().save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), np.asarray(draw()))


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", b"\0" * 200, rgb_profile("adobe_rgb")[:150], gray_profile(1.0), cmyk_profile()],
    ids=["text", "zeros", "cut", "of gray", "of inks"],
)
def test_broken_or_foreign_profile_is_ignored_with_a_note(tmp_path, draw, profile):
    draw().save(tmp_path / "a.png", icc_profile=profile)
    with (tmp_path / "a.png").open("rb") as file:
        image, notes = decode_file(file, ".png")
    assert np.array_equal(np.asarray(image), np.asarray(draw()))
    assert [note.code for note in notes] == ["NOTE_PROFILE_IGNORED"]


def test_gray_image_with_an_rgb_profile(tmp_path):
    """As editors write it: the gray level stands for three equal colors."""
    Image.new("L", (16, 16), 128).save(tmp_path / "a.png", icc_profile=rgb_profile("adobe_rgb"))
    red, green, blue = read_image(tmp_path / "a.png").getpixel((8, 8))
    assert max(red, green, blue) - min(red, green, blue) <= 1
    assert abs(green - to_srgb(np.array([[128, 128, 128]]), "adobe_rgb")[0, 1]) <= 1
