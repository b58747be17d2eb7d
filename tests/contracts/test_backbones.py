"""What every backbone keeps to: those that come with covey, and tiny models in place of those to be fetched.

The rows whose weights have to be fetched are built at random weights in ``tests/unit/backbones/test_catalog.py``.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.backbones import BACKBONES, load_backbone, model_status
from covey.types import Backbone, BackboneSpec, ByteArray

HERE = [name for name, spec in BACKBONES.items() if not spec.weights.startswith(("hub:", "file:"))]
TINY = ["tiny vit", "tiny clip", "tiny resnet"]


@pytest.fixture(scope="module", params=[*HERE, *TINY])
def name(request: pytest.FixtureRequest, tiny_model: Callable[[str], Path]) -> str:
    """A name of the registry, or the path of a tiny model."""
    word: str = request.param
    return str(tiny_model(word.removeprefix("tiny "))) if word in TINY else word


@pytest.fixture(scope="module")
def backbone(name: str) -> Backbone:
    return load_backbone(name, device="cpu")


@pytest.fixture
def pixels(backbone: Backbone) -> ByteArray:
    """Eleven drawn pictures: more than one group of a runtime that takes eight at once."""
    height, width = backbone.spec.input_size
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, size=(11, 6, 6, 3))
    rows, columns = np.arange(height) * 6 // height, np.arange(width) * 6 // width
    noise = rng.integers(-20, 20, size=(11, height, width, 3))
    return np.clip(coarse[:, rows][:, :, columns] + noise, 0, 255).astype(np.uint8)


def test_it_is_a_backbone(backbone: Backbone, name: str) -> None:
    assert isinstance(backbone, Backbone)
    assert isinstance(backbone.spec, BackboneSpec)
    if name in BACKBONES:
        assert backbone.spec is BACKBONES[name]


def test_what_comes_with_covey_is_here() -> None:
    assert {"efficientnet_lite0.in1k", "efficientnet_lite2.in1k", "color_histogram", "random_patches"} <= set(HERE)
    assert all(model_status(BACKBONES[name]).is_here for name in HERE)


def test_features_fit_the_specification(backbone: Backbone, pixels: ByteArray) -> None:
    features = backbone.encode_images(pixels)
    assert features.shape == (11, backbone.spec.n_features)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == 11


def test_the_same_pictures_give_the_same_bits(backbone: Backbone, pixels: ByteArray) -> None:
    untouched = pixels.copy()
    first = backbone.encode_images(pixels)
    assert np.array_equal(first, backbone.encode_images(pixels))
    assert np.array_equal(pixels, untouched)


def test_a_row_depends_on_its_own_picture_alone(backbone: Backbone, pixels: ByteArray) -> None:
    together = backbone.encode_images(pixels)
    alone = np.concatenate([backbone.encode_images(pixels[i : i + 1]) for i in range(len(pixels))])
    backwards = backbone.encode_images(pixels[::-1])[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, backwards)


def test_no_pictures_give_no_rows(backbone: Backbone, pixels: ByteArray) -> None:
    assert backbone.encode_images(pixels[:0]).shape == (0, backbone.spec.n_features)


def test_a_read_only_batch_is_taken(backbone: Backbone, pixels: ByteArray) -> None:
    expected = backbone.encode_images(pixels)
    pixels.flags.writeable = False
    assert np.array_equal(backbone.encode_images(pixels), expected)


def test_other_sizes_and_types_are_refused(backbone: Backbone, pixels: ByteArray) -> None:
    for wrong in (pixels[0], pixels[:, 1:], pixels[..., :1], pixels.astype(np.float32)):
        with pytest.raises(ValueError, match="dtype uint8"):
            backbone.encode_images(wrong)


def test_the_fingerprint_can_name_a_folder(backbone: Backbone, name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,80}", backbone.fingerprint)
    assert backbone.fingerprint == load_backbone(name, device="cpu").fingerprint


def test_a_pickled_copy_is_equal(backbone: Backbone, pixels: ByteArray) -> None:
    copy = pickle.loads(pickle.dumps(backbone))  # noqa: S301 - our own bytes
    assert copy.fingerprint == backbone.fingerprint
    assert np.array_equal(copy.encode_images(pixels), backbone.encode_images(pixels))
