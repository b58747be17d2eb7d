"""Which runtime computes a backbone fastest on the CPU?

Every runtime gets the same weights and the same photographs; EfficientNet-Lite has its own weights, the others random
ones. Rounds are interleaved, so that whatever else the machine does meets all of them; the best round counts. Processor
time is given beside wall time because it suffers less from other work on the machine: threads / cpu_ms * 1000 is about
the rate of an idle one.

Recorded in ``extraction_runtimes.csv`` on two cores that other work kept busy: load 5 to 8 for EfficientNet-Lite, 11
for the ViT (16 photographs, 3 rounds). torch.compile was not measured.

    python benchmarks/extraction_runtimes.py FOLDER [--backbone NAME] [--rounds 5] [--compile] [--csv FILE]

FOLDER holds photographs. ONNX Runtime and torch.compile (which needs a C++ compiler) are measured where they are there.
"""

import argparse
import csv
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from covey.backbones import BACKBONES
from covey.backbones._efficientnet import MULTIPLIERS, architecture, fold
from covey.backbones._efficientnet._eager import ConvNetwork, TorchNetwork
from covey.backbones._efficientnet._lite_openvino import OpenVINONetwork
from covey.backbones._runtimes import PixelNetwork, Runtime, build_network
from covey.backbones._weights import find_weights, read_weights
from covey.engines import n_threads
from covey.images import preprocess, read_image
from covey.types import BackboneSpec, ByteArray, FloatArray

Network = Callable[[ByteArray], FloatArray]


def draw_module(spec: BackboneSpec) -> torch.nn.Module:
    """Build a network at random weights.

    Each weight has the variance 1 / inputs, so that every layer changes what it gets; at the variance that a training
    begins with a ViT is nearly the identity, and any precision would do.
    """
    import transformers

    from covey.backbones._transformers import ARCHITECTURES
    from covey.backbones._transformers import _modules as modules

    architecture = ARCHITECTURES[spec.architecture]
    with modules.quiet():
        config = modules.image_config(modules.make_config(spec))
        module = modules._pool(getattr(transformers, architecture.image)(config, **architecture.keywords), spec)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                spread = parameter[0].numel() ** -0.5 if parameter.shape[0] > 1 else 0.02
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * spread)
    return module


def make_module(spec: BackboneSpec) -> torch.nn.Module:
    """Build the network that is measured: EfficientNet-Lite with its weights, any other at random ones."""
    if spec.loader == "transformers":
        return draw_module(spec)
    state = read_weights(find_weights(spec), spec)
    return ConvNetwork([fold(conv, state) for conv in architecture(*MULTIPLIERS[spec.name])])


def compiled(module: torch.nn.Module, spec: BackboneSpec, dtype: torch.dtype) -> Network:
    """Compile a network of torch; batches of 8."""
    forward = torch.compile(PixelNetwork(module, spec).eval().requires_grad_(False))

    @torch.inference_mode()
    def run(pixels: ByteArray) -> FloatArray:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            parts = [forward(torch.from_numpy(pixels[i : i + 8])).numpy() for i in range(0, len(pixels), 8)]
        return np.concatenate(parts)

    return run


def lite_networks(spec: BackboneSpec) -> dict[tuple[str, str], Callable[[], Network]]:
    """Make EfficientNet-Lite's own networks, which keep their first convolutions in float32."""
    state = read_weights(find_weights(spec), spec)
    layers = [fold(conv, state) for conv in architecture(*MULTIPLIERS[spec.name])]
    cpu = torch.device("cpu")
    return {
        ("openvino", "float32"): lambda: OpenVINONetwork(layers, spec, precision="float32"),
        ("openvino", "bfloat16"): lambda: OpenVINONetwork(layers, spec, precision="bfloat16"),
        ("torch eager", "float32"): lambda: TorchNetwork(layers, spec, device=cpu, dtype=torch.float32),
        ("torch eager", "bfloat16"): lambda: TorchNetwork(layers, spec, device=cpu, dtype=torch.bfloat16),
    }


def make_networks(name: str, *, with_compile: bool) -> dict[tuple[str, str], tuple[Network, float]]:
    """Build every runtime's network, with the seconds that takes."""
    spec = BACKBONES[name]
    cpu, dtypes = torch.device("cpu"), {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if spec.name in MULTIPLIERS:
        makers = lite_networks(spec)
    else:
        makers = {
            (label, precision): lambda runtime=runtime, dtype=dtype: build_network(
                make_module(spec), spec, Runtime(runtime, cpu, dtype)
            )
            for runtime, label in (("openvino", "openvino"), ("torch", "torch eager"))
            for precision, dtype in dtypes.items()
        }
    if find_spec("onnxruntime") is not None and find_spec("onnx") is not None:
        makers["onnxruntime", "float32"] = lambda: build_network(
            make_module(spec), spec, Runtime("onnx", cpu, torch.float32)
        )
    for precision, dtype in dtypes.items() if with_compile else ():
        makers["torch.compile", precision] = lambda dtype=dtype: compiled(make_module(spec), spec, dtype)
    networks = {}
    for key, make in makers.items():
        start = time.perf_counter()
        network = make()
        network(np.zeros((8, *spec.input_size, 3), dtype=np.uint8))
        networks[key] = network, time.perf_counter() - start
    return networks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--backbone", default="efficientnet_lite0.in1k", help="Any name of the catalogue that transformers builds."
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    spec = BACKBONES[options.backbone]
    paths = sorted(options.folder.rglob("*.[jJ][pP]*[gG]"))
    paths = paths[:: max(1, len(paths) // options.images)][: options.images]
    pixels = np.stack([preprocess(read_image(path), spec) for path in paths])
    networks = make_networks(options.backbone, with_compile=options.compile)
    reference = networks["torch eager", "float32"][0](pixels)
    wall: dict[tuple[str, str], list[float]] = {key: [] for key in networks}
    cpu: dict[tuple[str, str], list[float]] = {key: [] for key in networks}
    rows = []
    for _ in range(options.rounds):
        for key, (network, _) in networks.items():
            starts = time.perf_counter(), time.process_time()
            network(pixels)
            wall[key].append(time.perf_counter() - starts[0])
            cpu[key].append(time.process_time() - starts[1])
    for key, (network, build_s) in networks.items():
        features = network(pixels)
        cosine = (features * reference).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(reference, axis=1)
        rows.append(
            {
                "backbone": options.backbone,
                "runtime": key[0],
                "precision": key[1],
                "threads": n_threads(),
                "images_per_s": round(len(pixels) / min(wall[key]), 1),
                "images_per_s_median": round(len(pixels) / float(np.median(wall[key])), 1),
                "cpu_ms_per_image": round(1e3 * min(cpu[key]) / len(pixels), 2),
                "build_s": round(build_s, 2),
                "cosine_min": round(float(cosine.min()), 5),
                "cosine_mean": round(float(cosine.mean()), 5),
            }
        )
        print(rows[-1])
    if options.csv is not None:
        is_new = not options.csv.exists()
        with options.csv.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
