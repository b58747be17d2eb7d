from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from covey.images import decode_size, preprocess, read_image

FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos")}


def preprocess_in_two_steps(image, spec):
    """Resize the shorter side, then cut the centre out: what the one step has to equal."""
    (size, _), (width, height) = spec.input_size, image.size
    short = round(size / spec.crop_fraction)
    resized = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    left, top = (round((side - size) / 2) for side in resized)
    step = image.resize(resized, FILTERS[spec.interpolation])
    return np.asarray(step.crop((left, top, left + size, top + size)))


def difference(a, b):
    return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop_fraction", [0.875, 0.9, 1.0])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (40, 40), (33, 150), (201, 160), (20, 13), (9, 400)])
def test_one_step_equals_two(draw, spec, size, crop_fraction, interpolation):
    image, wanted = draw(*size), spec((32, 32), crop_fraction, interpolation)
    pixels = preprocess(image, wanted)
    assert pixels.shape == (32, 32, 3)
    gap = difference(pixels, preprocess_in_two_steps(image, wanted))
    assert gap.max() <= 2  # Pillow rounds between its two passes, and may take the other first
    assert gap.mean() < 0.5


def test_nearest_takes_pixels_of_the_picture(draw, spec):
    image = draw(65, 48)
    pixels = preprocess(image, spec(interpolation="nearest"))
    assert set(map(tuple, pixels.reshape(-1, 3))) <= set(map(tuple, np.asarray(image).reshape(-1, 3)))


@pytest.mark.parametrize("size", [(700, 500), (1500, 640)])
def test_large_pictures_are_nearly_equal(draw, spec, size):
    noise = np.random.default_rng(0).integers(-30, 30, (size[1], size[0], 3))
    image = Image.fromarray(np.clip(np.asarray(draw(*size)) + noise, 0, 255).astype(np.uint8))
    gap = difference(preprocess(image, spec()), preprocess_in_two_steps(image, spec()))
    assert gap.max() <= 4
    assert gap.mean() < 0.6


def test_whole_shorter_side_is_seen_with_crop_fraction_one(spec):
    image = Image.new("RGB", (96, 32), "black")
    image.paste((255, 0, 0), (32, 0, 64, 32))
    assert (preprocess(image, spec(crop_fraction=1.0)) == (255, 0, 0)).all()


def test_crop_keeps_its_share_of_the_shorter_side(spec):
    """A white square of 28 in 32 pixels is 0.875 of the picture: the crop sees it and nothing else."""
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (2, 2, 30, 30))
    pixels = preprocess(image, spec((28, 28), 0.875, "nearest"))
    assert (pixels == 255).all()
    assert (preprocess(image, spec((28, 28), 0.9, "nearest")) == 0).any()


@pytest.mark.parametrize("input_size", [(48, 32), (32, 48), (20, 70)])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (30, 30)])
def test_input_that_is_not_square_is_covered(spec, input_size, size):
    """Centre and shape are kept: a picture that holds its own coordinates shows them on a regular grid."""
    width, height = size
    grid = np.zeros((height, width, 3), dtype=np.uint8)
    grid[..., 0] = np.linspace(0, 255, width)[None, :]
    grid[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels = preprocess(Image.fromarray(grid), spec(input_size, 0.875, "bilinear")).astype(float)
    assert pixels.shape == (*input_size, 3)
    assert abs(pixels[..., 0].mean() - 127.5) < 4  # half a pixel of the resized picture
    assert abs(pixels[..., 1].mean() - 127.5) < 4  # half a pixel of the resized picture
    per_pixel_x = np.diff(pixels[2:-2, 2:-2, 0], axis=1).mean() * width
    per_pixel_y = np.diff(pixels[2:-2, 2:-2, 1], axis=0).mean() * height
    assert abs(per_pixel_x / per_pixel_y - 1) < 0.05


def test_same_size_is_left_alone(draw, spec):
    image = draw(32, 32)
    assert np.array_equal(preprocess(image, spec(crop_fraction=1.0)), np.asarray(image))


def test_pixels_are_ready_for_a_batch(draw, spec):
    pixels = preprocess(draw(), spec())
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert pixels.flags.owndata


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (2, 3)])
def test_tiny_pictures(draw, spec, size):
    assert preprocess(draw(*size), spec()).shape == (32, 32, 3)


def test_the_picture_is_not_changed(draw, spec):
    image = draw()
    before = image.tobytes()
    preprocess(image, spec())
    assert image.tobytes() == before


def test_wrong_values_are_the_callers_mistake(draw, spec):
    with pytest.raises(ValueError, match="mode 'L'"):
        preprocess(draw().convert("L"), spec())
    with pytest.raises(ValueError, match="interpolation is 'cubic'"):
        preprocess(draw(), spec(interpolation="cubic"))
    for crop_fraction in (0.0, 1.1, -1):
        with pytest.raises(ValueError, match="crop_fraction"):
            preprocess(draw(), spec(crop_fraction=crop_fraction))
    with pytest.raises(ValueError, match="input_size"):
        preprocess(draw(), spec((0, 32)))


# --- how large to decode ----------------------------------------------------------------------------------------------


def test_decode_size_leaves_room_for_the_filter(spec):
    assert decode_size(spec((224, 224), 0.875)) == (320, 320)
    assert decode_size(spec((224, 224), 1.0), thumbnail_px=256) == (280, 280)
    assert decode_size(spec((32, 32), 1.0), thumbnail_px=256) == (256, 256)
    assert decode_size(spec((20, 40), 1.0)) == (50, 25)  # width, height


@pytest.mark.parametrize("size", [(1200, 900), (900, 1200), (2000, 300)])
def test_scaled_decoding_hardly_changes_what_a_backbone_sees(put, spec, size):
    path, wanted = put("a.jpg", size=size, quality=95), spec((32, 32), 0.875)
    decoded = read_image(path, min_size=decode_size(wanted))
    assert decoded.size < size
    gap = difference(preprocess(decoded, wanted), preprocess(read_image(path), wanted))
    assert gap.mean() < 1
    assert gap.max() <= 12


def test_decode_size_asks_for_what_preprocess_covers(put, spec):
    path = put("a.jpg", size=(1600, 1200))
    for input_size in ((32, 32), (60, 20), (20, 60)):
        wanted = replace(spec(), input_size=input_size)
        width, height = read_image(path, min_size=decode_size(wanted)).size
        assert width >= input_size[1] / 0.875
        assert height >= input_size[0] / 0.875
