"""Running a network of convolutions with OpenVINO on the CPU.

The graph is built from its operators: no ONNX file, no converter. Importing this module imports OpenVINO,
without its usage reports.
"""

import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from covey._arrays import iter_chunks
from covey.backbones._efficientnet._rounding import N_EXACT, round_for_bfloat16
from covey.engines import n_threads
from covey.types import BackboneSpec, ByteArray, FloatArray

if TYPE_CHECKING:
    from covey.backbones._efficientnet._network import ConvLayer

_GROUP: Final = 8  # pictures in one inference; fixed, so that all pictures meet the same kernels
_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let OpenVINO be imported without its usage reports.

    ``import openvino`` writes an identifier into the home folder and sends an event to an analytics service, unless its
    companion package cannot be imported; it then falls back to a stub of its own. Nobody asked our users.
    """
    is_loaded = _TELEMETRY in sys.modules
    if not is_loaded:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # None makes an import fail, as documented
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules[_TELEMETRY]


with _without_telemetry():
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


class OpenVINONetwork:
    """Compiled convolutions, a picture's bits independent of its neighbours.

    Parameters
    ----------
    layers : sequence of ConvLayer
        From stem to head.
    spec : BackboneSpec
        Its input size, mean and standard deviation become part of the graph.
    precision : {"float32", "bfloat16"}
        In what most of it is computed.

    Notes
    -----
    Each stream is one thread that takes a group of 8 pictures at a time; on two cores that is faster than two threads
    on one group, and the result does not depend on the number of cores. The last group is filled up with black ones.
    """

    def __init__(self, layers: "Sequence[ConvLayer]", spec: BackboneSpec, *, precision: str) -> None:
        self._n_features = layers[-1].spec.n_out
        is_bfloat16 = precision == "bfloat16"
        core = ov.Core()
        model = build_model(layers, spec, is_bfloat16=is_bfloat16, marks=_precision_marks(core) if is_bfloat16 else {})
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if is_bfloat16 else "f32",
            "NUM_STREAMS": n_threads(),
            "INFERENCE_NUM_THREADS": n_threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would pin themselves to the same cores
        }
        self._queues = [ov.AsyncInferQueue(core.compile_model(model, "CPU", settings), 2 * n_threads())]
        # Its threads must end before the interpreter does, or the process may abort on its way out.
        weakref.finalize(self, self._queues.clear)
        self._lock = threading.Lock()

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into pooled features ``(b, n_features)`` float32."""
        pixels = np.ascontiguousarray(pixels)
        features = np.empty((len(pixels), self._n_features), dtype=np.float32)

        def keep(request: Any, rows: slice) -> None:
            features[rows] = request.get_output_tensor(0).data[: rows.stop - rows.start]

        groups = [(rows, _fill_up(pixels[rows])) for rows in iter_chunks(len(pixels), _GROUP)]
        with self._lock:
            queue = self._queues[0]
            queue.set_callback(keep)
            try:
                for rows, group in groups:
                    queue.start_async({0: group}, rows, share_inputs=True)
            finally:  # after an interrupt too: the groups must outlive the inference that reads them
                queue.wait_all()
        return features


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
    pixels = ops.parameter([_GROUP, *spec.input_size, 3], ov.Type.u8, name="pixels")
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


def _precision_marks(core: Any) -> dict[str, Any]:
    """Read the runtime information that keeps a node in its own precision, whatever this version calls it."""
    return dict(core.read_model(_MARKED, b"").get_parameters()[0].get_rt_info().items())


def _fill_up(group: ByteArray) -> ByteArray:
    """Fill a group (n, h, w, 3) up to 8 pictures; a full one is returned as it is."""
    if len(group) == _GROUP:
        return group
    filled = np.zeros((_GROUP, *group.shape[1:]), dtype=np.uint8)
    filled[: len(group)] = group
    return filled
