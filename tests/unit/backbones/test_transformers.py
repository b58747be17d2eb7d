"""Models that transformers builds: the same numbers as the library's own, from folders alone, under every runtime."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from covey._torch import has_fast_bfloat16
from covey.backbones import BACKBONES, load_backbone, load_torch_backbone
from covey.backbones._transformers import ARCHITECTURES
from covey.errors import ModelError
from covey.types import Backbone, ByteArray, FloatArray, TextEncoder

TINY_SIZE = 32
MEAN, STD = 255 * np.array([0.5, 0.4, 0.3]), 255 * np.array([0.2, 0.25, 0.3])
needs_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="OpenVINO is not installed")
needs_onnx = pytest.mark.skipif(not find_spec("onnx") or not find_spec("onnxruntime"), reason="no ONNX Runtime")
needs_bfloat16 = pytest.mark.skipif(not has_fast_bfloat16("cpu"), reason="this processor has no bfloat16")
Tiny = Callable[[str], Path]


@pytest.fixture
def pixels() -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, (11, TINY_SIZE, TINY_SIZE, 3)).astype(np.uint8)


def load(folder: Path, runtime: str = "torch", precision: str = "float32") -> Backbone:
    return load_backbone(str(folder), device="cpu", precision=precision, runtime=runtime)


def cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def library_rows(folder: Path, kind: str, pixels: ByteArray) -> FloatArray:
    """Compute the rows with the library's whole model, the pooling written out."""
    import transformers

    from covey.backbones._transformers._modules import quiet

    with quiet():
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    x = torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        if kind == "clip":
            return model.visual_projection(model.vision_model(pixel_values=x).pooler_output).numpy()
        if kind == "siglip":
            return model.vision_model(pixel_values=x).pooler_output.numpy()
        if kind == "vit_mae":
            model.config.mask_ratio = 0.0
        output = model(pixel_values=x)
    if kind == "ijepa":
        return output.last_hidden_state.mean(dim=1).numpy()
    if kind in ("convnext", "convnextv2", "resnet", "dinov3_convnext"):
        return output.pooler_output.flatten(1).numpy()
    return output.last_hidden_state[:, 0].numpy()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_features_are_those_of_the_library(kind: str, tiny_model: Tiny, pixels: ByteArray) -> None:
    folder = tiny_model(kind)
    backbone = load(folder)
    features = backbone.encode_images(pixels)
    expected = library_rows(folder, kind, pixels)
    assert backbone.spec.architecture == kind
    assert features.shape == expected.shape == (11, backbone.spec.n_features)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max() + 1e-6, rtol=1e-4)
    assert isinstance(backbone, TextEncoder) == bool(ARCHITECTURES[kind].text) == backbone.spec.has_text


@needs_openvino
@pytest.mark.parametrize(
    "kind",
    [
        "dinov3_vit",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("vit", "vit_mae", "dinov2", "resnet", "siglip")),
    ],
)
def test_openvino_gives_the_same_features(kind: str, tiny_model: Tiny, pixels: ByteArray) -> None:
    plain, fast = load(tiny_model(kind)), load(tiny_model(kind), runtime="openvino")
    expected = plain.encode_images(pixels)
    np.testing.assert_allclose(fast.encode_images(pixels), expected, atol=1e-4 * np.abs(expected).max())
    assert fast.fingerprint != plain.fingerprint


@needs_onnx
@pytest.mark.parametrize(
    "kind", ["resnet", *(pytest.param(k, marks=pytest.mark.slow) for k in ("vit", "dinov3_vit", "clip", "siglip"))]
)
def test_onnx_runtime_gives_the_same_features(kind: str, tiny_model: Tiny, pixels: ByteArray) -> None:
    plain, other = load(tiny_model(kind)), load(tiny_model(kind), runtime="onnx", precision="auto")
    expected = plain.encode_images(pixels)
    features = other.encode_images(pixels)
    np.testing.assert_allclose(features, expected, atol=1e-3 * np.abs(expected).max())
    assert cosines(features, expected).min() > 0.99999
    assert other.encode_images(pixels[:0]).shape == (0, plain.spec.n_features)


@needs_onnx
@needs_openvino
@pytest.mark.parametrize("kind", [pytest.param("dinov2", marks=pytest.mark.slow), "dinov2_with_registers"])
def test_positions_are_interpolated_alike_in_every_runtime(
    kind: str, tiny_model: Tiny, tmp_path: Path, pixels: ByteArray
) -> None:
    """DINOv2 learned at 518 pixels and is given 224; here 32 and 24."""
    from covey.backbones import export_backbone

    folder = Path(shutil.copytree(tiny_model(kind), tmp_path / kind))
    told = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    told |= {"crop_size": {"height": 24, "width": 24}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    pixels = np.ascontiguousarray(pixels[:, :24, :24])
    expected = library_rows(folder, kind, pixels)
    for runtime in ("torch", "openvino", "onnx"):
        features = load(folder, runtime=runtime).encode_images(pixels)
        np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())
    assert export_backbone(str(folder), tmp_path / "tiny.onnx").stat().st_size > 1000


@needs_bfloat16
@pytest.mark.parametrize("runtime", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_bfloat16_agrees_with_float32(runtime: str, tiny_model: Tiny, pixels: ByteArray) -> None:
    full, short = load(tiny_model("vit")), load(tiny_model("vit"), runtime=runtime, precision="bfloat16")
    assert cosines(short.encode_images(pixels), full.encode_images(pixels)).min() > 0.999


def test_the_way_of_other_devices_gives_the_same_features(tiny_model: Tiny) -> None:
    """There is no such device here, so it runs on the CPU: chunks, their order, no picture and many."""
    backbone = load(tiny_model("vit"))
    pixels = np.random.default_rng(1).integers(0, 256, (150, TINY_SIZE, TINY_SIZE, 3)).astype(np.uint8)
    found = backbone.network.encode_on_device(pixels)
    np.testing.assert_allclose(found, backbone.encode_images(pixels), atol=1e-5)
    assert backbone.network.encode_on_device(pixels[:0]).shape == (0, 32)


def test_an_exported_model_takes_any_number_of_pictures(tiny_model: Tiny, tmp_path: Path, pixels: ByteArray) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from covey.backbones import export_backbone

    path = tmp_path / "tiny.onnx"
    export_backbone(str(tiny_model("vit")), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = load(tiny_model("vit")).encode_images(pixels)
    for n in (1, 5, 11):
        (features,) = session.run(["features"], {"pixels": pixels[:n]})
        np.testing.assert_allclose(features, expected[:n], atol=1e-3 * np.abs(expected).max())


def test_the_fingerprint_follows_the_weights_and_not_the_place(tiny_model: Tiny, tmp_path: Path) -> None:
    folder = tiny_model("vit")
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / folder.name))
    assert load(moved).fingerprint == load(folder).fingerprint
    changed = bytearray((moved / "model.safetensors").read_bytes())
    changed[-1] ^= 1  # one bit of the last weight
    (moved / "model.safetensors").write_bytes(changed)
    assert load(moved).fingerprint != load(folder).fingerprint


def test_a_pickled_copy_comes_from_the_same_folder(tiny_model: Tiny, pixels: ByteArray) -> None:
    backbone = load(tiny_model("clip"))
    copy = pickle.loads(pickle.dumps(backbone))  # noqa: S301 - our own bytes
    assert copy.fingerprint == backbone.fingerprint
    assert np.array_equal(copy.encode_images(pixels), backbone.encode_images(pixels))


def test_it_can_be_trained(tiny_model: Tiny, pixels: ByteArray) -> None:
    module = load_torch_backbone(str(tiny_model("vit")))
    x = torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    features = module(x)
    np.testing.assert_allclose(
        features.detach().numpy(), load(tiny_model("vit")).encode_images(pixels), atol=1e-4, rtol=1e-3
    )
    features.sum().backward()
    assert all(weight.grad is not None for name, weight in module.named_parameters() if "mask" not in name)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_texts_become_rows_of_the_same_space(kind: str, tiny_model: Tiny) -> None:
    import transformers

    from covey.backbones._transformers._modules import quiet

    folder = tiny_model(kind)
    backbone = load_backbone(str(folder), device="cpu")
    assert isinstance(backbone, TextEncoder)
    texts = ["a photo of a dog", "the SEA", "cat " * 40, "", "ωμέγα"]
    rows = backbone.encode_texts(texts)
    assert rows.shape == (5, backbone.spec.n_features)
    assert rows.dtype == np.float32
    with quiet():
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    ids = [2, 4, 5, 6, 4, 7, 3]  # <start> a photo of a dog <end>
    ids += [0] * (12 - len(ids)) if kind == "siglip" else []
    with torch.no_grad():
        output = model.text_model(input_ids=torch.tensor([ids]))
        expected = output.pooler_output if kind == "siglip" else model.text_projection(output.pooler_output)
    np.testing.assert_allclose(rows[0], expected.numpy()[0], atol=1e-5)
    np.testing.assert_allclose(backbone.encode_texts(texts[:1])[0], rows[0], atol=1e-5)
    assert backbone.encode_texts([]).shape == (0, backbone.spec.n_features)
    assert len(backbone.encode_texts(["a cat"] * 130)) == 130
    for wrong in ("a photo", ["a", 3]):
        with pytest.raises(TypeError, match="sequence of str"):
            backbone.encode_texts(wrong)


def test_a_missing_tokenizer_stops_texts_but_not_pictures(tiny_model: Tiny, tmp_path: Path, pixels: ByteArray) -> None:
    folder = Path(shutil.copytree(tiny_model("clip"), tmp_path / "clip"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    backbone = load(folder)
    assert len(backbone.encode_images(pixels)) == 11
    with pytest.raises(ModelError, match=r"there is none\. Copy tokenizer\.json"):
        backbone.encode_texts(["a dog"])
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="tokenizer of clip cannot be read"):
        load(folder).encode_texts(["a dog"])


def test_the_tokenizer_of_another_model_is_refused(tiny_model: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model("clip"), tmp_path / "clip"))
    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    told["model"]["vocab"]["whale"] = 11
    (folder / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelError, match="it has 12 pieces, the text tower knows 11"):
        load(folder).encode_texts(["a whale"])


def test_a_folder_says_how_pictures_are_prepared(tiny_model: Tiny) -> None:
    spec = load(tiny_model("clip")).spec
    assert spec.input_size == (32, 32)
    assert spec.crop_fraction == pytest.approx(32 / 36)
    assert spec.interpolation == "bicubic"
    assert not spec.is_squashed
    np.testing.assert_allclose([spec.mean, spec.std], [MEAN, STD])


@pytest.mark.parametrize(
    ("told", "size", "fraction", "is_squashed"),
    [
        ({"size": 224}, (224, 224), 1, True),
        ({"size": {"height": 224, "width": 192}}, (224, 192), 1, True),
        ({"size": 224, "crop_size": 224, "do_center_crop": True}, (224, 224), 1, False),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (224, 224), 0.875, False),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), 1, True),
    ],
)
def test_all_forms_of_sizes_are_read(
    told: dict[str, object], size: tuple[int, int], fraction: float, is_squashed: bool, tmp_path: Path
) -> None:
    from covey.backbones._transformers._folder import _read_preprocessing

    told |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    pictures = _read_preprocessing(tmp_path)
    assert (pictures["input_size"], pictures["crop_fraction"]) == (size, fraction)
    assert pictures["is_squashed"] == is_squashed
    assert pictures["interpolation"] == "bilinear"  # the library's default


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if how == "half":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif how == "header":
        weights.write_bytes(weights.read_bytes()[:100])
    elif how == "text":
        weights.write_text("<html>not found</html>", encoding="utf-8")
    elif how == "pointer":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", encoding="utf-8")
    elif how == "empty":
        weights.unlink()
    elif how == "depth":
        (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}), encoding="utf-8")
    elif how == "width":
        (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}), encoding="utf-8")
    elif how == "kind":
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}), encoding="utf-8")
    elif how == "json":
        (folder / "config.json").write_text("{", encoding="utf-8")
    else:
        (folder / how).unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("half", r"has \d+ bytes of \d+: damaged or only half downloaded"),
        ("header", "is not a safetensors file, or is cut off"),
        ("text", "is not a safetensors file, or is cut off"),
        ("pointer", "git lfs pull"),
        ("empty", r"has no model\.safetensors"),
        ("depth", r"16 tensors are missing and 0 have another shape"),
        ("width", r"0 tensors are missing and 6 have another shape"),
        ("kind", "a model of the kind 'bert', which covey cannot use"),
        ("json", r"config\.json' cannot be read"),
        ("config.json", r"has no config\.json.*covey models import"),
        ("preprocessor_config.json", r"has no preprocessor_config\.json"),
    ],
)
def test_a_folder_that_is_not_whole_says_what_is_wrong(
    how: str, message: str, tiny_model: Tiny, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model("vit"), tmp_path / "vit"))
    spoil(folder, how)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_pictures_that_do_not_fit_are_said_at_once(tiny_model: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model("vit"), tmp_path / "vit"))
    told = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    told |= {"crop_size": {"height": 24, "width": 24}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelError, match=r"vit cannot take images of \(24, 24\) pixels: .*doesn't match"):
        load(folder)


def test_a_hash_of_the_catalogue_is_held(tiny_model: Tiny) -> None:
    from covey.backbones._transformers import load_transformers, read_spec

    folder = tiny_model("vit")
    words = {"device": "cpu", "precision": "float32", "runtime": "torch", "weights": folder}
    with pytest.raises(ModelError, match=r"is not the vit.* that the catalog names, or is damaged: its hash is"):
        load_transformers(replace(read_spec(folder), name="vit", sha256="0" * 64), **words)


def test_pickled_weights_are_read_without_being_executed(tiny_model: Tiny, tmp_path: Path, pixels: ByteArray) -> None:
    from safetensors.torch import load_file

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "executed",)

    folder = Path(shutil.copytree(tiny_model("vit"), tmp_path / "vit"))
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    expected = load(tiny_model("vit")).encode_images(pixels)
    assert np.array_equal(load(folder).encode_images(pixels), expected)
    torch.save({**state, "layernorm.bias": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be read"):
        load(folder)
    assert not (tmp_path / "executed").exists()
    torch.save(state, folder / "pytorch_model.bin")
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="only half downloaded"):
        load(folder)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("vit", "ViTForImageClassification"),
        ("convnext", "ConvNextForImageClassification"),
        ("vit_mae", "ViTMAEForPreTraining"),
        ("resnet", "ResNetForImageClassification"),
    ],
)
def test_a_model_saved_with_its_head_is_read_without_it(
    kind: str, head: str, tiny_model: Tiny, tmp_path: Path, pixels: ByteArray
) -> None:
    """So are most on the hub: their tensors have a prefix, and there are some of the head."""
    import transformers

    from covey.backbones._transformers._modules import quiet

    folder = Path(shutil.copytree(tiny_model(kind), tmp_path / kind))
    with quiet():
        whole = getattr(transformers, head).from_pretrained(folder, local_files_only=True)
        whole.save_pretrained(folder)
    assert np.array_equal(load(folder).encode_images(pixels), load(tiny_model(kind)).encode_images(pixels))


def test_a_name_refuses_the_folder_of_another_model(tiny_model: Tiny) -> None:
    with pytest.raises(ModelError, match=r"does not hold dino_vits16\.in1k: hidden_size is 32, not 384"):
        load_backbone("dino_vits16.in1k", weights=tiny_model("vit"), device="cpu")
    with pytest.raises(ModelError, match="it is a clip, not a vit"):
        load_backbone("dino_vits16.in1k", weights=tiny_model("clip"), device="cpu")
    with pytest.raises(ModelError, match=r"vision_config|hidden_size is 32, not 768|projection_dim"):
        load_backbone("clip_vitb32.openai", weights=tiny_model("clip"), device="cpu")


def test_a_path_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no folder"):
        load_backbone(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="no such file or folder"):
        load_backbone("dino_vits16.in1k", weights=tmp_path / "nowhere")


def test_masked_autoencoders_neither_mask_nor_draw(tiny_model: Tiny, pixels: ByteArray) -> None:
    before = torch.random.get_rng_state()
    backbone = load(tiny_model("vit_mae"))
    assert np.array_equal(backbone.encode_images(pixels), backbone.encode_images(pixels))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_pooling_of_the_row_is_what_counts(tiny_model: Tiny, pixels: ByteArray) -> None:
    from covey.backbones._transformers import load_transformers, read_spec

    folder = tiny_model("dinov2_with_registers")
    words = {"device": "cpu", "precision": "float32", "runtime": "torch", "weights": folder}
    spec = read_spec(folder)
    token = load_transformers(spec, **words)
    mean = load_transformers(replace(spec, pooling="patch mean"), **words)
    assert token.fingerprint != mean.fingerprint
    x = torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        hidden = token.network.module.model(pixel_values=x).last_hidden_state
    assert hidden.shape[1] == 1 + 2 + 16  # class token, registers, patches
    np.testing.assert_allclose(mean.encode_images(pixels), hidden[:, 3:].mean(dim=1).numpy(), atol=1e-5)


def test_every_pooling_of_the_catalogue_is_that_of_its_architecture() -> None:
    rows = [spec for spec in BACKBONES.values() if spec.loader == "transformers"]
    assert len(rows) > 35
    for spec in rows:
        assert spec.pooling == ARCHITECTURES[spec.architecture].pooling, spec.name
        assert spec.has_text == bool(ARCHITECTURES[spec.architecture].text), spec.name
