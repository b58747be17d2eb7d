"""EfficientNet-Lite's convolutions as a graph of OpenVINO's operators: no ONNX file, no converter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from covey.backbones._efficientnet._rounding import N_EXACT, round_for_bfloat16
from covey.backbones._runtimes._openvino_runtime import CompiledNetwork, without_telemetry
from covey.backbones._runtimes._pixel_network import GROUP
from covey.types import BackboneSpec, FloatArray

if TYPE_CHECKING:
    from covey.backbones._efficientnet._network import ConvLayer

with without_telemetry():
    import openvino as ov
    from openvino import opset13 as ops

# The smallest model that carries the mark "keep this node's precision"; only the file format can make one.
_MARKED = b"""<net name="marked" version="11">
<layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
<rt_info><attribute name="precise" version="0"/></rt_info>
<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="y" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
</layers>
<edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges>
</net>"""


class OpenVINONetwork(CompiledNetwork):
    """Compiled convolutions.

    Parameters
    ----------
    layers : sequence of ConvLayer
        From stem to head.
    spec : BackboneSpec
        Its input size, mean and standard deviation become part of the graph.
    precision : {"float32", "bfloat16"}
        In what most of it is computed.
    """

    def __init__(self, layers: "Sequence[ConvLayer]", spec: BackboneSpec, *, precision: str) -> None:
        is_bfloat16 = precision == "bfloat16"
        marks = _precision_marks() if is_bfloat16 else {}
        model = build_model(layers, spec, is_bfloat16=is_bfloat16, marks=marks)
        super().__init__(model, layers[-1].spec.n_out, is_bfloat16=is_bfloat16)


def build_model(layers: "Sequence[ConvLayer]", spec: BackboneSpec, *, is_bfloat16: bool, marks: dict[str, Any]) -> Any:
    """Build the graph: uint8 pixels of a group to pooled features.

    Parameters
    ----------
    layers : sequence of ConvLayer
        From stem to head.
    spec : BackboneSpec
        Input size, mean and standard deviation.
    is_bfloat16 : bool
        Whether depthwise filters are rounded for bfloat16.
    marks : dict
        Runtime information that keeps a node in float32; given to the first `N_EXACT` convolutions.

    Returns
    -------
    model : openvino.Model
        Input (8, h, w, 3) u8, output (8, n_features) f32.
    """
    weights = round_for_bfloat16(layers) if is_bfloat16 else [layer.weight for layer in layers]
    pixels = ops.parameter([GROUP, *spec.input_size, 3], ov.Type.u8, name="pixels")
    x = ops.subtract(ops.convert(pixels, "f32"), ops.constant(np.asarray(spec.mean, dtype=np.float32)))
    x = ops.multiply(x, ops.constant(1 / np.asarray(spec.std, dtype=np.float32)))
    x = ops.transpose(x, ops.constant(np.array([0, 3, 1, 2])))
    inputs = []
    for place, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
        inputs.append(x)
        nodes = _convolve(x, layer, weight)
        if layer.spec.skip_from is not None:
            nodes.append(ops.add(nodes[-1], inputs[layer.spec.skip_from]))
        for node in nodes if place < N_EXACT else ():
            for key, mark in marks.items():
                node.set_rt_info(mark, key)
        x = nodes[-1]
    pooled = ops.reduce_mean(x, ops.constant(np.array([2, 3])), keep_dims=False)
    return ov.Model([pooled], [pixels], spec.name)


def _convolve(x: Any, layer: "ConvLayer", weight: FloatArray) -> list[Any]:
    """Return the nodes of a convolution with bias and ReLU6; padding is TensorFlow's SAME."""
    spec = layer.spec
    steps = [spec.stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper"
    if spec.groups == 1:
        y = ops.convolution(x, ops.constant(weight), *steps)
    else:
        grouped = weight.reshape(spec.groups, -1, *weight.shape[1:])
        y = ops.group_convolution(x, ops.constant(grouped), *steps)
    nodes = [y, ops.add(y, ops.constant(layer.bias.reshape(1, -1, 1, 1)))]
    return [*nodes, ops.clamp(nodes[-1], 0.0, 6.0)] if spec.is_clipped else nodes


def _precision_marks() -> dict[str, Any]:
    """Read the runtime information that keeps a node in its own precision, whatever this version calls it."""
    return dict(ov.Core().read_model(_MARKED, b"").get_parameters()[0].get_rt_info().items())
