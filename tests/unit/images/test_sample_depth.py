"""Depth: 12-bit data in 16 bits shows as bright as its 8-bit copy, however it is stored."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from covey.images import read_image


def gray_png(values, significant=None):
    """Write 16-bit gray with or without an ``sBIT`` chunk."""
    return png(values, 0, None if significant is None else bytes([significant]))


def png(values, color_type, significant):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    bits = b"" if significant is None else chunk(b"sBIT", significant)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + bits + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def ramp(n_bits, share=1.0):
    """Gray values of a depth, up to a share of full brightness, as 8 and as `n_bits` bits: (8, 256) each."""
    bytes_ = np.tile((np.arange(256) * share).astype(np.uint8), (8, 1))
    return bytes_, (bytes_.astype(np.uint16) << (n_bits - 8)) + (1 << (n_bits - 8)) - 1


def shown(path):
    return np.asarray(read_image(path))


@pytest.mark.parametrize("n_bits", [8, 10, 12, 14, 16])
def test_gray_png_of_any_depth(tmp_path, n_bits):
    expected, values = ramp(n_bits)
    (tmp_path / "a.png").write_bytes(gray_png(values))
    assert np.array_equal(shown(tmp_path / "a.png")[:, :, 1], expected)


def test_dark_data_of_declared_depth_stay_dark(tmp_path):
    expected, values = ramp(12, share=0.2)
    (tmp_path / "a.png").write_bytes(gray_png(values, significant=12))
    assert np.array_equal(shown(tmp_path / "a.png")[:, :, 0], expected)
    (tmp_path / "b.png").write_bytes(gray_png(values))
    assert shown(tmp_path / "b.png").max() > 2 * expected.max(), "without the chunk nobody knows"


def test_samples_scaled_up_as_the_standard_wants_it(tmp_path):
    """Then ``sBIT`` says how deep they were, and they use all 16 bits."""
    expected, values = ramp(16)
    (tmp_path / "a.png").write_bytes(gray_png(values & 0xFFF0, significant=12))
    assert np.array_equal(shown(tmp_path / "a.png")[:, :, 0], expected)


@pytest.mark.parametrize(("color_type", "n_channels"), [(2, 3), (6, 4)])
@pytest.mark.parametrize("significant", [None, 12])
def test_color_png(tmp_path, color_type, n_channels, significant):
    expected, values = ramp(12)
    color = np.stack([values, values[:, ::-1], values // 2, np.full_like(values, 4095)][:n_channels], axis=2)
    bits = None if significant is None else bytes([significant] * n_channels)
    (tmp_path / "a.png").write_bytes(png(color, color_type, bits))
    result = shown(tmp_path / "a.png")
    assert np.array_equal(result[:, :, 0], expected)
    assert np.array_equal(result[:, :, 1], expected[:, ::-1])


def test_alpha_of_full_depth_beside_color_of_less(tmp_path):
    expected, values = ramp(12)
    color = np.stack([values, values, values, np.full_like(values, 65535)], axis=2)
    (tmp_path / "a.png").write_bytes(png(color, 6, None))
    assert np.array_equal(shown(tmp_path / "a.png")[:, :, 2], expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_color_tiff(tmp_path, order):
    """Three strips' worth of 16-bit color, written by hand: Pillow cannot."""
    expected, values = ramp(12)
    data = np.stack([values, values, values // 2], axis=2).astype(f"{order}u2").tobytes()
    entries = [(256, 3, 1, 256), (257, 3, 1, 8), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 200)]
    entries += [(277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, len(data))]
    head = (
        (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 14) + struct.pack(f"{order}3H", 16, 16, 16)
    )
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, count) + packed
    (tmp_path / "a.tif").write_bytes((head + directory + bytes(4)).ljust(200, b"\0") + data)
    assert np.array_equal(shown(tmp_path / "a.tif")[:, :, 0], expected)


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate"])
def test_gray_tiff(tmp_path, compression):
    expected, values = ramp(12)
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(shown(tmp_path / "a.tif")[:, :, 0], expected)


def test_tiff_that_declares_its_greatest_value(tmp_path):
    expected, values = ramp(12, share=0.2)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 4095
    tags.tagtype[281] = 3
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo=tags)
    assert np.array_equal(shown(tmp_path / "a.tif")[:, :, 0], expected)


def test_whole_numbers_of_32_bits(tmp_path):
    expected, values = ramp(12)
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "a.tif")
    assert np.array_equal(shown(tmp_path / "a.tif")[:, :, 0], expected)


def test_pgm_says_its_own_scale(tmp_path):
    """A dark picture whose header says 65535 stays dark."""
    values = np.tile(np.arange(256, dtype=">u2"), 8)
    (tmp_path / "a.pgm").write_bytes(b"P5 256 8 65535\n" + values.tobytes())
    assert shown(tmp_path / "a.pgm").max() == 0
    (tmp_path / "b.pgm").write_bytes(b"P5 256 8 255\n" + bytes(range(256)) * 8)
    assert np.array_equal(shown(tmp_path / "b.pgm")[0, :, 0], np.arange(256))


def test_large_images_are_converted_in_bands(tmp_path, monkeypatch):
    from covey.images import _pixels

    rng = np.random.default_rng(0)
    for name, values in {
        "gray.png": rng.integers(0, 4096, (100, 90)).astype(np.uint16),
        "float.tif": rng.normal(size=(100, 90)).astype(np.float32),
        "glass.png": rng.integers(0, 256, (100, 90, 4)).astype(np.uint8),
        "inks.tif": None,
    }.items():
        image = Image.fromarray(rng.integers(0, 256, (100, 90, 4)).astype(np.uint8), "CMYK") if values is None else None
        (image or Image.fromarray(values)).save(tmp_path / name)
        whole = shown(tmp_path / name)
        with monkeypatch.context() as patch:
            patch.setattr(_pixels, "BAND_PIXELS", 700)
            assert np.array_equal(shown(tmp_path / name), whole), name
