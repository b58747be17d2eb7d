"""Crops, colours and turns of pictures, against what they mean pixel by pixel."""

import colorsys

import pytest
import torch

from covey.nn import center_crop, jitter_colors, quarter_turns, random_crop, to_grayscale


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def pictures(batch=32, channels=3, height=12, width=16):
    return torch.rand(batch, channels, height, width, generator=generator(0))


def places(found, picture):
    """Return where a crop lies in a picture: all places of which it is an exact copy."""
    size = found.shape[-1]
    windows = picture.unfold(1, size, 1).unfold(2, size, 1)  # (channels, down, right, size, size)
    error = (windows - found[:, None, None]).abs().amax(dim=(0, 3, 4))
    return (error < 1e-5).nonzero().tolist()


def test_a_crop_of_its_own_size_is_a_copy_and_lies_anywhere():
    x = pictures(200)
    found = random_crop(x, [0.5], 6, generator=generator())
    assert found.shape == (200, 3, 6, 6)
    places_found = [places(result, picture) for result, picture in zip(found, x, strict=True)]
    assert all(len(place) == 1 for place in places_found)
    rows, columns = zip(*(place[0] for place in places_found), strict=True)
    assert (set(rows), set(columns)) == (set(range(7)), set(range(11)))


def test_half_of_the_crops_are_mirrored():
    x = pictures(200)
    found = random_crop(x, [0.5], 6, generator=generator(), flip=True)
    is_copy = [bool(places(result, picture)) for result, picture in zip(found, x, strict=True)]
    is_mirrored = [bool(places(result, picture.flip(-1))) for result, picture in zip(found, x, strict=True)]
    assert all(a != b for a, b in zip(is_copy, is_mirrored, strict=True))
    assert 70 < sum(is_mirrored) < 130


def test_each_picture_draws_one_of_the_shares():
    """On a ramp, the slope of a crop tells its side."""
    ramp = torch.arange(16.0).expand(100, 1, 16, 16)
    found = random_crop(ramp, [1.0, 0.5], 8, generator=generator())
    slopes = (found[:, 0, 4, 5] - found[:, 0, 4, 4]).round(decimals=3)
    assert sorted(slopes.unique().tolist()) == [1.0, 2.0]
    assert 30 < (slopes == 1).sum() < 70


def test_a_turn_of_90_degrees_is_a_quarter_turn():
    """The angle is drawn; here it is that of a generator whose draws are known."""
    x = pictures(300, height=8, width=8)
    found = random_crop(x, [1.0], 8, generator=generator(), max_rotation_degrees=90)
    replay = generator()
    _, _, _, turn = (torch.rand(300, generator=replay) for _ in range(4))  # share, two places, turn
    angles = (2 * turn - 1) * 90
    nearest = angles.argmax()
    assert angles[nearest] > 88
    torch.testing.assert_close(found[nearest], torch.rot90(x[nearest], 1, (1, 2)), atol=0.1, rtol=0)
    still = angles.abs().argmin()
    torch.testing.assert_close(found[still], x[still], atol=0.1, rtol=0)


def test_the_centre_crop_is_the_centre():
    x = pictures(4)
    torch.testing.assert_close(center_crop(x, 0.5, 6), x[:, :, 3:9, 5:11], atol=1e-5, rtol=0)
    square = pictures(4, height=10, width=10)
    assert center_crop(square, 1.0, 10) is square
    doubled = center_crop(square, 1.0, 20)
    expected = torch.nn.functional.interpolate(square, size=20, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled, expected, atol=1e-5, rtol=0)


def test_without_strength_colours_stay():
    x = pictures()
    torch.testing.assert_close(jitter_colors(x, (0, 0, 0, 0), generator=generator()), x)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_scales_each_picture_by_its_own_factor(channels):
    x = pictures(64, channels) * 0.5
    ratio = jitter_colors(x, (0.4, 0, 0, 0), generator=generator()) / x
    factors = ratio.flatten(1).mean(dim=1)
    torch.testing.assert_close(ratio, factors[:, None, None, None].expand_as(ratio))
    assert 0.6 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.4


def test_contrast_keeps_the_mean_and_saturation_keeps_the_brightness():
    x = 0.4 + 0.2 * pictures(16)  # where nothing is cut off
    mean = to_grayscale(x).mean(dim=(2, 3))
    changed = jitter_colors(x, (0, 0.4, 0, 0), generator=generator())
    torch.testing.assert_close(to_grayscale(changed).mean(dim=(2, 3)), mean)
    assert (changed - x).abs().amax(dim=(1, 2, 3)).min() > 0
    torch.testing.assert_close(to_grayscale(jitter_colors(x, (0, 0, 0.4, 0), generator=generator())), to_grayscale(x))


def test_hue_turns_as_in_hsv():
    x = pictures(8)
    turned = jitter_colors(x, (0, 0, 0, 0.125), generator=generator())
    for before, after in zip(x[:, :, 3, 5].tolist(), turned[:, :, 3, 5].tolist(), strict=True):
        (h0, s0, v0), (h1, s1, v1) = colorsys.rgb_to_hsv(*before), colorsys.rgb_to_hsv(*after)
        assert (s1, v1) == pytest.approx((s0, v0), abs=1e-5)
        assert abs((h1 - h0 + 0.5) % 1 - 0.5) <= 0.126
        assert h1 != h0


def test_some_pictures_lose_their_colour():
    x = pictures(400)
    found = jitter_colors(x, (0, 0, 0, 0), grayscale=0.2, generator=generator())
    is_grey = (found == found[:, :1]).flatten(1).all(1)
    assert 50 < is_grey.sum() < 110
    torch.testing.assert_close(found[is_grey], to_grayscale(x[is_grey]).expand(-1, 3, -1, -1))
    torch.testing.assert_close(found[~is_grey], x[~is_grey])


def test_jitter_stays_in_range():
    found = jitter_colors(pictures(100), generator=generator())
    assert found.min() >= 0
    assert found.max() <= 1


def test_quarter_turns():
    x = pictures(8, height=6, width=6)
    turned, turns = quarter_turns(x)
    assert turns.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for picture, result, n_turns in zip(x, turned, turns.tolist(), strict=True):
        assert torch.equal(result, torch.rot90(picture, n_turns, (1, 2)))
    with pytest.raises(ValueError, match="quarter turns need square images"):
        quarter_turns(pictures(8))
    with pytest.raises(ValueError, match="a multiple of four"):
        quarter_turns(pictures(6, height=6, width=6))


def test_no_global_generator_is_touched():
    before = torch.random.get_rng_state()
    x = pictures()
    random_crop(jitter_colors(x, grayscale=0.5, generator=generator()), [0.5], 8, generator=generator(), flip=True)
    assert torch.equal(torch.random.get_rng_state(), before)
