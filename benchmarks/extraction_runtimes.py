"""Which runtime computes EfficientNet-Lite fastest on the CPU?

Every runtime gets the same folded convolutions and the same photographs. Rounds are interleaved, so that whatever else
the machine does meets all of them; the best round counts. Processor time is given beside wall time because it suffers
less from other work on the machine: threads / cpu_ms * 1000 is about the rate of an idle one.

Recorded in ``extraction_runtimes.csv`` on two cores that other work kept busy (load 5 to 8); torch.compile was not
measured.

    python benchmarks/extraction_runtimes.py FOLDER [--backbone NAME] [--rounds 5] [--compile] [--csv FILE]

FOLDER holds photographs. ONNX Runtime and torch.compile (which needs a C++ compiler) are measured where they are there.
"""

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from covey.backbones import BACKBONES
from covey.backbones._efficientnet import MULTIPLIERS, ConvLayer, architecture, fold
from covey.backbones._efficientnet._eager import TorchNetwork
from covey.backbones._efficientnet._openvino import OpenVINONetwork
from covey.backbones._weights import find_weights, read_weights
from covey.engines import n_threads
from covey.images import preprocess, read_image
from covey.types import BackboneSpec, ByteArray, FloatArray

Network = Callable[[ByteArray], FloatArray]


def onnx_network(layers: Sequence[ConvLayer], spec: BackboneSpec) -> Network:
    """Build the same graph for ONNX Runtime, batches of 8."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(name: str, array: FloatArray) -> str:
        constants.append(numpy_helper.from_array(np.asarray(array, dtype=np.float32), name))
        return name

    def node(kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    low, high = constant("low", np.float32(0)), constant("high", np.float32(6))
    x = node("Cast", "pixels", to=TensorProto.FLOAT)
    x = node("Div", node("Sub", x, constant("mean", np.array(spec.mean))), constant("std", np.array(spec.std)))
    x = node("Transpose", x, perm=[0, 3, 1, 2])
    inputs = []
    for place, layer in enumerate(layers):
        inputs.append(x)
        conv = layer.spec
        filters, bias = constant(f"w{place}", layer.weight), constant(f"b{place}", layer.bias)
        steps = {"strides": [conv.stride] * 2, "group": conv.groups, "auto_pad": "SAME_UPPER"}
        x = node("Conv", x, filters, bias, **steps)
        x = node("Clip", x, low, high) if conv.is_clipped else x
        x = node("Add", x, inputs[conv.skip_from]) if conv.skip_from is not None else x
    pooled = node("Flatten", node("GlobalAveragePool", x))
    graph = helper.make_graph(
        nodes,
        "lite",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["b", *spec.input_size, 3])],
        [helper.make_tensor_value_info(pooled, TensorProto.FLOAT, ["b", spec.n_features])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(pixels: ByteArray) -> FloatArray:
        parts = [session.run(None, {"pixels": pixels[i : i + 8]})[0] for i in range(0, len(pixels), 8)]
        return np.concatenate(parts)

    return run


def compiled(network: TorchNetwork) -> Network:
    """Compile the torch network; batches of 8."""
    forward = torch.compile(network.forward)

    @torch.inference_mode()
    def run(pixels: ByteArray) -> FloatArray:
        return np.concatenate([forward(torch.from_numpy(pixels[i : i + 8])).numpy() for i in range(0, len(pixels), 8)])

    return run


def make_networks(name: str, *, with_compile: bool) -> dict[tuple[str, str], tuple[Network, float]]:
    """Build every runtime's network, with the seconds that takes."""
    spec = BACKBONES[name]
    state = read_weights(find_weights(spec), spec)
    layers = [fold(conv, state) for conv in architecture(*MULTIPLIERS[name])]
    cpu = torch.device("cpu")
    makers: dict[tuple[str, str], Callable[[], Network]] = {
        ("openvino", "float32"): lambda: OpenVINONetwork(layers, spec, precision="float32"),
        ("openvino", "bfloat16"): lambda: OpenVINONetwork(layers, spec, precision="bfloat16"),
        ("torch eager", "float32"): lambda: TorchNetwork(layers, spec, device=cpu, dtype=torch.float32),
        ("torch eager", "bfloat16"): lambda: TorchNetwork(layers, spec, device=cpu, dtype=torch.bfloat16),
    }
    if find_spec("onnxruntime") is not None and find_spec("onnx") is not None:
        makers["onnxruntime", "float32"] = lambda: onnx_network(layers, spec)
    if with_compile:
        for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            makers["torch.compile", precision] = lambda dtype=dtype: compiled(
                TorchNetwork(layers, spec, device=cpu, dtype=dtype)
            )
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
    parser.add_argument("--backbone", default="efficientnet_lite0.in1k", choices=list(MULTIPLIERS))
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
