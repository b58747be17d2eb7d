"""The two backbones without weights."""

import numpy as np

from covey.backbones import load_backbone


def test_color_histogram_counts_colours_of_the_whole_and_of_its_quarters() -> None:
    pixels = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    pixels[0, :32, :32] = (255, 0, 0)  # the first quarter is red, the rest black
    features = load_backbone("color_histogram").encode_images(pixels)[0].reshape(5, 64)
    red, black = 3 * 16, 0
    np.testing.assert_allclose(features[0, [red, black]], np.sqrt([0.25, 0.75]), rtol=1e-6)
    np.testing.assert_allclose(features[1:, red], [0.5, 0, 0, 0])
    np.testing.assert_allclose(features[1:, black], [0, 0.5, 0.5, 0.5])
    assert np.isclose((features**2).sum(), 2)


def test_color_histogram_knows_where_a_colour_is() -> None:
    pixels = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    pixels[0, :, :32] = 255
    pixels[1, :, 32:] = 255
    left, right = load_backbone("color_histogram").encode_images(pixels)
    assert np.array_equal(left[:64], right[:64])
    assert not np.array_equal(left, right)


def test_random_patches_see_texture_but_not_brightness(rng: np.random.Generator) -> None:
    stripes = np.zeros((32, 32, 3))
    stripes[::4] = stripes[1::4] = 100
    pixels = np.stack([stripes, stripes + 50, stripes.transpose(1, 0, 2)]).astype(np.uint8)
    across, brighter, down = load_backbone("random_patches").encode_images(pixels)
    np.testing.assert_allclose(across, brighter, atol=1e-5)
    assert np.linalg.norm(across - down) > 0.3 * np.linalg.norm(across)


def test_random_patches_of_a_flat_picture_are_zero() -> None:
    features = load_backbone("random_patches").encode_images(np.full((1, 32, 32, 3), 7, dtype=np.uint8))
    np.testing.assert_allclose(features, 0, atol=1e-6)


def test_random_patches_leave_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is looked at
    load_backbone("random_patches").encode_images(np.zeros((1, 32, 32, 3), dtype=np.uint8))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002 - as above
