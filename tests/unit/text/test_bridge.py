"""The bridge between a classifier and a text embedder, on a small world where the right answers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covey._arrays import l2_normalize
from covey.backbones import BACKBONES
from covey.errors import InvalidValueError, MissingExtraError, ModelError
from covey.text import ClassifierBridge, bridge_space, can_bridge, load_text_embedder, tower_space
from covey.text import _minilm as minilm
from covey.text._bridge import read_classifier
from covey.text._vocabulary import imagenet_words

LITE0 = BACKBONES["efficientnet_lite0.in1k"]
N_CLASSES, N_FEATURES = 6, 10


class Letters:
    """An embedder that knows how many letters texts share."""

    def encode_texts(self, texts):
        return l2_normalize(np.array([[text.count(letter) for letter in "abcdef"] for text in texts], dtype=np.float32))


@pytest.fixture
def bridge(rng: np.random.Generator) -> ClassifierBridge:
    weight = rng.normal(size=(N_CLASSES, N_FEATURES)).astype(np.float32)
    return ClassifierBridge(weight, rng.normal(size=N_CLASSES).astype(np.float32), tuple("abcdef"), Letters())


def test_a_class_word_points_at_its_class(bridge: ClassifierBridge) -> None:
    vectors = bridge.encode_texts(list("abcdef"))
    np.testing.assert_allclose(vectors, l2_normalize(bridge.directions), atol=1e-4)


def test_a_text_between_classes_points_between_them(bridge: ClassifierBridge) -> None:
    (vector,) = bridge.encode_texts(["ab"])
    np.testing.assert_allclose(vector, l2_normalize(bridge.directions[:2].sum(axis=0)[None])[0], atol=1e-2)


def test_the_origin_is_equally_like_all_classes(rng: np.random.Generator) -> None:
    weight, bias = rng.normal(size=(N_CLASSES, N_FEATURES)), rng.normal(size=N_CLASSES)
    bridge = ClassifierBridge(weight.astype(np.float32), bias.astype(np.float32), tuple("abcdef"), Letters())
    assert np.ptp(weight @ bridge.origin + bias) < 1e-5


def test_the_centre_of_a_small_collection_is_drawn_to_the_origin(bridge: ClassifierBridge) -> None:
    X = np.full((100, N_FEATURES), 3, dtype=np.float32)
    np.testing.assert_allclose(bridge.center(X), (X[0] + bridge.origin) / 2, atol=1e-6)
    np.testing.assert_allclose(bridge.center(X[:0]), bridge.origin, atol=1e-6)


def test_a_phrase_for_each_class_is_needed(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="6 classes and 6 biases, but there are words for 2"):
        ClassifierBridge(np.ones((6, 4), dtype=np.float32), np.ones(6, dtype=np.float32), ("a", "b"), Letters())


def test_the_classifier_of_the_installed_weights() -> None:
    weight, bias = read_classifier(LITE0)
    assert (weight.shape, bias.shape, weight.dtype) == ((1000, 1280), (1000,), np.float32)


def test_weights_that_cannot_be_used_are_told() -> None:
    with pytest.raises(ModelError, match=r"not the weights file of efficientnet_lite0\.in1k, or is damaged"):
        read_classifier(replace(LITE0, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"comes with the package no-such-package==1"):
        read_classifier(replace(LITE0, weights="no-such-package==1:file.pth"))


def test_a_backbone_that_cannot_speak_is_told() -> None:
    spec = BACKBONES["color_histogram"]
    assert not can_bridge(spec)
    with pytest.raises(
        InvalidValueError, match="color_histogram has no text tower, and its weights bring no classifier"
    ):
        bridge_space(spec, np.ones((3, spec.n_features), dtype=np.float32))


def test_an_image_only_model_asked_for_text() -> None:
    class Mute:
        spec = BACKBONES["color_histogram"]
        fingerprint = "x"

        def encode_images(self, pixels):
            raise NotImplementedError

    with pytest.raises(InvalidValueError, match="color_histogram knows pictures only"):
        tower_space(Mute())


def test_a_text_tower_of_another_width_is_told() -> None:
    class Odd:
        spec = BACKBONES["color_histogram"]
        fingerprint = "x"

        def encode_images(self, pixels):
            raise NotImplementedError

        def encode_texts(self, texts):
            return np.ones((len(texts), 7))

    with pytest.raises(InvalidValueError, match=r"gave an array of shape \(1, 7\) for 1 texts; it must be \(1, 320\)"):
        tower_space(Odd()).place_words(["cat"])


def test_a_missing_embedder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no-such-package")
    assert not can_bridge(LITE0)
    with pytest.raises(MissingExtraError, match=r"pip install 'covey\[text\]'"):
        load_text_embedder()


def test_damaged_embedders_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read from"):
        load_text_embedder(folder=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(ModelError, match=r"11 bytes.* or is damaged"):
        load_text_embedder(folder=tmp_path)


@pytest.fixture(scope="module")
def embedder():
    if minilm.find_text_embedder() is None:
        pytest.skip("needs the extra text")
    return load_text_embedder(device="cpu")


def test_like_texts_have_like_vectors(embedder) -> None:
    texts = ["a photo of a dog", "a puppy", "a steel bridge over a river", "", "собака " * 400]
    vectors = embedder.encode_texts(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2
    np.testing.assert_allclose(embedder.encode_texts(texts[:1]), vectors[:1], atol=1e-5)
    assert embedder.encode_texts([]).shape == (0, 384)


def test_loading_leaves_the_callers_generator_alone() -> None:
    import torch

    if minilm.find_text_embedder() is None:
        pytest.skip("needs the extra text")
    state = torch.random.get_rng_state()
    load_text_embedder(device="cpu")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_the_embedder_is_that_of_transformers(embedder) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    folder = minilm.find_text_embedder()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    texts = ["tench", "a red car parked in front of a church", "überall", "word " * 50]
    for text, vector in zip(texts, embedder.encode_texts(texts), strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer([text], return_tensors="pt")).last_hidden_state
        expected = torch.nn.functional.normalize(hidden.mean(dim=1), dim=1)[0].numpy()
        np.testing.assert_allclose(vector, expected, atol=2e-6)


def test_the_bridge_of_real_weights_tells_everyday_things_apart(embedder) -> None:
    weight, bias = read_classifier(LITE0)
    bridge = ClassifierBridge(weight, bias, imagenet_words(), embedder)
    words = ["golden retriever", "pizza", "airplane", "church", "guitar"]
    classes = [207, 963, 404, 497, 546]  # of ImageNet; the direction of a class stands for a picture of it
    cosines = l2_normalize(bridge.directions[classes]) @ bridge.encode_texts(words).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2, 3, 4]
