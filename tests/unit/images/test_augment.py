"""Augmented copies: what is drawn, that it never changes, and what the pixels then show."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from covey.errors import InvalidValueError
from covey.images import Augmentation, View, ViewDraw, preprocess, preprocess_view
from covey.types import BackboneSpec

SPEC = BackboneSpec("square", "none", 1, (64, 64), 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3, "none")


def gradient(width: int, height: int) -> Image.Image:
    """Draw a picture whose red tells the column and whose green tells the row, both from 0 to 255."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).round()
    pixels[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return Image.fromarray(pixels)


def test_draws_never_change() -> None:
    """Stored views of every user depend on these numbers."""
    draw = View(0).draw("3fa9")
    expected = {"side": 0.876772498604786, "left": 0.6089231418904995, "top": 0.6998281345199848}
    assert asdict(draw) == pytest.approx({**expected, "sigma": 0.003028646223415286}, rel=1e-12)


def test_every_part_of_the_key_counts() -> None:
    draws = [
        View(number, random_state).draw(image_id)
        for number in range(3)
        for random_state in range(3)
        for image_id in ("aa", "ab", "ba")
    ]
    assert len({(draw.left, draw.top) for draw in draws}) == 27


def test_draws_have_the_stated_distribution() -> None:
    """Four standard errors of each share or mean over 8,000 draws."""
    augmentation = Augmentation(crop_probability=0.5, crop_area=(0.4, 0.8), blur_probability=0.25)
    draws = [View(number, 0, augmentation).draw(f"{i:x}") for i in range(2000) for number in range(4)]
    crops, blurs = np.array([draw.side < 1 for draw in draws]), np.array([draw.sigma > 0 for draw in draws])
    for found, wanted in ((crops, 0.5), (blurs, 0.25), (crops & blurs, 0.125)):
        assert abs(found.mean() - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 8000)
    areas = np.array([draw.side**2 for draw in draws])[crops]
    assert areas.min() >= 0.4 - 1e-9
    assert areas.max() <= 0.8 + 1e-9
    assert abs(areas.mean() - 0.6) < 4 * 0.4 / math.sqrt(12 * len(areas))
    sigmas = np.array([draw.sigma for draw in draws])[blurs]
    assert 0.1 / 224 <= sigmas.min() < 0.15 / 224
    assert 1.95 / 224 < sigmas.max() <= 2 / 224
    assert abs(np.mean([draw.left for draw in draws]) - 0.5) < 4 / math.sqrt(12 * 8000)


def test_an_untouched_view_is_the_picture_itself() -> None:
    image = gradient(90, 70)
    assert np.array_equal(preprocess_view(image, SPEC, ViewDraw(1.0, 0.3, 0.7, 0.0)), preprocess(image, SPEC))


@pytest.mark.parametrize(("left", "top"), [(0.0, 0.0), (1.0, 1.0), (0.5, 0.25)])
def test_a_crop_shows_its_part_of_the_picture(left: float, top: float) -> None:
    pixels = preprocess_view(gradient(200, 200), SPEC, ViewDraw(0.5, left, top, 0.0)).astype(float)
    red, green = pixels[..., 0].mean(axis=0), pixels[..., 1].mean(axis=1)
    for values, start in ((red, left / 2), (green, top / 2)):
        assert values[0] == pytest.approx(255 * start, abs=4)
        assert values[-1] == pytest.approx(255 * (start + 0.5), abs=4)


def test_a_crop_keeps_the_shape() -> None:
    """In a picture twice as wide as high, the crop's square middle spans half of the crop's width."""
    pixels = preprocess_view(gradient(400, 200), SPEC, ViewDraw(0.5, 0.0, 0.0, 0.0)).astype(float)
    assert pixels[..., 0].min() == pytest.approx(255 * 0.125, abs=4)
    assert pixels[..., 0].max() == pytest.approx(255 * 0.375, abs=4)
    assert pixels[..., 1].max() == pytest.approx(255 * 0.5, abs=4)


@pytest.mark.parametrize("side", [16, 64, 256])
def test_a_blur_is_as_wide_on_small_pictures_as_on_large_ones(side: int) -> None:
    """An edge of any picture becomes, at the backbone's size, one whose slope the sigma tells."""
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[:, side // 2 :] = 255
    sharp = preprocess_view(Image.fromarray(pixels), SPEC, ViewDraw(1.0, 0.0, 0.0, 0.0))
    blurred = preprocess_view(Image.fromarray(pixels), SPEC, ViewDraw(1.0, 0.0, 0.0, 4 / 64))
    width = np.sqrt(spread(blurred) - spread(sharp))
    assert width == pytest.approx(4, rel=0.1)


def spread(pixels: np.ndarray) -> float:
    """Return the variance in pixels of the place where the edge rises."""
    rise = np.diff(pixels[32, :, 0].astype(float))
    places = np.arange(len(rise))
    mean = (rise * places).sum() / rise.sum()
    return float((rise * (places - mean) ** 2).sum() / rise.sum())


def test_a_picture_of_one_pixel_can_be_cropped() -> None:
    assert preprocess_view(Image.new("RGB", (1, 1), (9, 8, 7)), SPEC, ViewDraw(0.5, 1.0, 1.0, 0.01)).shape == (
        64,
        64,
        3,
    )


def test_the_digest_tells_settings_apart_but_not_numbers() -> None:
    settings = [Augmentation(), Augmentation(crop_area=(0.4, 1.0)), Augmentation(blur_sigma=(0.0, 0.01))]
    digests = {View(0, seed, augmentation).digest for seed in (0, 1) for augmentation in settings}
    assert len(digests) == 6
    assert View(0).digest == View(5).digest


@pytest.mark.parametrize(
    "words",
    [
        {"crop_probability": 1.5},
        {"blur_probability": -0.1},
        {"crop_area": (0.0, 1.0)},
        {"crop_area": (0.9, 0.5)},
        {"crop_area": (0.5, 1.5)},
        {"blur_sigma": (0.2, 0.1)},
        {"blur_sigma": (-0.1, 0.1)},
        {"blur_sigma": (0.0, math.nan)},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=f"{next(iter(words))} is"):
        Augmentation(**words)  # type: ignore[arg-type]
