"""EfficientNet-Lite: its architecture, its runtimes, its precision, and what it sees on photographs."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from covey._torch import has_fast_bfloat16
from covey.backbones import BACKBONES, load_backbone
from covey.backbones._efficientnet import EfficientNetLite, architecture, expected_shapes, fold
from covey.backbones._weights import find_weights, read_weights
from covey.images import preprocess, read_image
from covey.text._bridge import read_classifier
from covey.types import ByteArray, FloatArray

NAMES = ("efficientnet_lite0.in1k", "efficientnet_lite2.in1k")
RUNTIMES = ("torch", pytest.param("openvino", marks=pytest.mark.skipif(not find_spec("openvino"), reason="not there")))
needs_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="OpenVINO is not installed")
needs_bfloat16 = pytest.mark.skipif(not has_fast_bfloat16("cpu"), reason="this processor has no bfloat16")

CLASSES = np.array([0, 217, 482, 491, 497, 566, 569, 571, 574, 701])
"""Imagenette's ten wnids, sorted, among the thousand classes."""


def load(name: str, **words: str) -> EfficientNetLite:
    backbone = load_backbone(name, device="cpu", **words)  # type: ignore[arg-type]
    assert isinstance(backbone, EfficientNetLite)
    return backbone


def cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@pytest.mark.parametrize(
    ("width", "depth", "n_blocks", "n_parameters"), [(1.0, 1.0, 16, 4_652_008), (1.1, 1.2, 21, 6_092_072)]
)
def test_the_architecture_has_the_published_size(width: float, depth: float, n_blocks: int, n_parameters: int) -> None:
    convs = architecture(width, depth)
    assert sum(conv.groups > 1 for conv in convs) == n_blocks
    trained = {name: shape for name, shape in expected_shapes(convs).items() if "running" not in name}
    assert sum(int(np.prod(shape)) for shape in trained.values()) == n_parameters
    assert np.prod([conv.stride for conv in convs]) == 32


def test_residual_additions_join_equal_shapes() -> None:
    convs = architecture(1.1, 1.2)
    additions = [conv for conv in convs if conv.skip_from is not None]
    assert len(additions) == 21 - 7
    for conv in additions:
        assert convs[conv.skip_from].n_in == conv.n_out
        assert not conv.is_clipped
        assert all(between.stride == 1 for between in convs[conv.skip_from : convs.index(conv)])


def test_folding_equals_convolution_and_normalisation() -> None:
    spec = BACKBONES[NAMES[0]]
    state = read_weights(find_weights(spec), spec)
    conv = next(conv for conv in architecture(1.0, 1.0) if conv.kernel == 5)
    x = torch.randn(2, conv.n_in, 9, 9, generator=torch.Generator().manual_seed(0))
    tensors = {part: torch.from_numpy(state[f"{conv.norm}.{part}"]) for part in ("running_mean", "running_var")}
    weight, bias = (torch.from_numpy(state[f"{conv.norm}.{part}"]) for part in ("weight", "bias"))
    plain = torch.nn.functional.conv2d(x, torch.from_numpy(state[f"{conv.name}.weight"]), groups=conv.groups)
    expected = torch.nn.functional.batch_norm(plain, *tensors.values(), weight, bias, eps=1e-3)
    layer = fold(conv, state)
    folded = torch.nn.functional.conv2d(
        x, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), groups=conv.groups
    )
    torch.testing.assert_close(folded, expected, rtol=1e-4, atol=1e-4)


@needs_openvino
@pytest.mark.parametrize("name", NAMES)
def test_runtimes_agree_in_float32(name: str, drawn_pixels: dict[int, ByteArray]) -> None:
    fast, plain = (load(name, precision="float32", runtime=runtime) for runtime in ("openvino", "torch"))
    pixels = drawn_pixels[fast.spec.input_size[0]][:5]
    np.testing.assert_allclose(fast.encode_images(pixels), plain.encode_images(pixels), atol=2e-5)
    assert fast.fingerprint != plain.fingerprint


@needs_bfloat16
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_agrees_with_float32_on_drawn_pictures(
    name: str, runtime: str, drawn_pixels: dict[int, ByteArray]
) -> None:
    short, full = (load(name, precision=precision, runtime=runtime) for precision in ("bfloat16", "float32"))
    pixels = drawn_pixels[short.spec.input_size[0]][: 16 if runtime == "openvino" else 4]
    similarity = cosines(short.encode_images(pixels), full.encode_images(pixels))
    assert similarity.mean() > 0.999
    assert similarity.min() > 0.997  # a smooth gradient: no noise averages the roundings out
    assert short.fingerprint != full.fingerprint


@needs_bfloat16
@needs_openvino
@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_agrees_with_float32_on_photographs(name: str, photographs: list[tuple[Path, str]]) -> None:
    short, full = (load(name, precision=precision) for precision in ("bfloat16", "float32"))
    pixels = np.stack([preprocess(read_image(path), short.spec) for path, _ in photographs[::100]])
    assert cosines(short.encode_images(pixels), full.encode_images(pixels)).min() > 0.999


def classify(backbone: EfficientNetLite, pixels: ByteArray) -> FloatArray:
    """Score the thousand classes of ImageNet by the classifier that comes with the weights, (b, 1000)."""
    weight, bias = read_classifier(backbone.spec)
    return np.asarray(backbone.encode_images(pixels) @ weight.T + bias)


def test_the_classifier_is_the_last_layer_on_the_features(drawn_pixels: dict[int, ByteArray]) -> None:
    backbone = load(NAMES[0])
    logits = classify(backbone, drawn_pixels[224][:3])
    assert logits.shape == (3, 1000)
    assert logits.dtype == np.float32
    spec = backbone.spec
    state = read_weights(find_weights(spec), spec)
    expected = backbone.encode_images(drawn_pixels[224][:3]) @ state["_fc.weight"].T + state["_fc.bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_what_photographs_show_is_recognised(photographs: list[tuple[Path, str]]) -> None:
    """The quick form of the proof below: 100 photographs, Lite0."""
    top1, restricted = _accuracies(load(NAMES[0]), photographs[::40])
    assert top1 > 0.6
    assert restricted > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), [(NAMES[0], 0.70), (NAMES[1], 0.73)])
def test_top1_on_photographs(name: str, floor: float, photographs: list[tuple[Path, str]]) -> None:
    """Over 1,000 classes on 3,925 photographs (of 224 pixels; the originals are larger) of ten classes.

    A wrong padding, normalisation, order of channels or epsilon costs several points here.
    """
    top1, restricted = _accuracies(load(name), photographs)
    assert top1 > floor
    assert restricted > 0.985


def _accuracies(backbone: EfficientNetLite, photographs: list[tuple[Path, str]]) -> tuple[float, float]:
    """Return top-1 over all classes, and over Imagenette's ten alone."""
    wnids = sorted({wnid for _, wnid in photographs})
    labels = np.array([wnids.index(wnid) for _, wnid in photographs])
    logits = np.concatenate(
        [
            classify(
                backbone, np.stack([preprocess(read_image(path), backbone.spec) for path, _ in photographs[i : i + 64]])
            )
            for i in range(0, len(photographs), 64)
        ]
    )
    return (
        float((logits.argmax(axis=1) == CLASSES[labels]).mean()),
        float((logits[:, CLASSES].argmax(axis=1) == labels).mean()),
    )


@needs_openvino
@needs_bfloat16
def test_the_first_convolutions_stay_in_float32() -> None:
    from covey.backbones._efficientnet._lite_openvino import OpenVINONetwork
    from covey.backbones._efficientnet._rounding import N_EXACT

    spec = BACKBONES[NAMES[0]]
    state = read_weights(find_weights(spec), spec)
    layers = [fold(conv, state) for conv in architecture(1.0, 1.0)]
    network = OpenVINONetwork(layers, spec, precision="bfloat16")
    graph = network._queues[0][0].get_compiled_model().get_runtime_model()
    facts = [node.get_rt_info() for node in graph.get_ordered_ops()]
    kinds = [f["runtimePrecision"].astype(str) for f in facts if f["layerType"].astype(str) == "Convolution"]
    assert kinds == ["f32"] * N_EXACT + ["bf16"] * (len(layers) - N_EXACT)


@needs_openvino
def test_openvino_reports_to_nobody_and_ends_in_peace(tmp_path: Path) -> None:
    """Imported plainly, it writes an identifier into the home folder and sends an event to an analytics service."""
    script = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
import numpy as np
from covey.backbones import load_backbone
backbone = load_backbone("efficientnet_lite0.in1k", device="cpu", runtime="openvino")
backbone.encode_images(np.zeros((20, 224, 224, 3), np.uint8))
assert "openvino_telemetry" not in sys.modules
assert not asked, asked
"""
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@needs_openvino
def test_openvino_on_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from covey.errors import InvalidValueError

    monkeypatch.setattr("covey.backbones._runtimes._runtime_choice.resolve_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(
        "covey.backbones._runtimes._runtime_choice.matmul_dtype", lambda device, precision: torch.float32
    )
    with pytest.raises(InvalidValueError, match="on the CPU only"):
        load_backbone(NAMES[0], device="cuda", runtime="openvino")


def test_torch_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.backbones._runtimes._runtime_choice.find_spec", lambda name: None)
    assert load(NAMES[0]).runtime == "torch"
