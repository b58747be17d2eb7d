"""Running networks with OpenVINO on the CPU; importing this module imports it, without its usage reports."""

import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from covey._arrays import iter_chunks
from covey.backbones._runtimes._pixel_network import GROUP, PixelNetwork, fill_up
from covey.engines import n_threads
from covey.types import BackboneSpec, ByteArray, FloatArray

_TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Let OpenVINO, or a part of it, be imported without its usage reports.

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


with without_telemetry():
    import openvino as ov


class CompiledNetwork:
    """A compiled model, an image's bits independent of its neighbors.

    Parameters
    ----------
    model : openvino.Model
        Pixels (8, h, w, 3) uint8 to features (8, n_features) float32.
    n_features : int
        Width of a row.
    is_bfloat16 : bool
        In what most of it is computed; else float32.

    Notes
    -----
    Each stream is one thread that takes a group of 8 images at a time; on two cores that is faster than two threads
    on one group, and the result does not depend on the number of cores. The last group is filled up with black ones.
    """

    def __init__(self, model: Any, n_features: int, *, is_bfloat16: bool) -> None:
        self._n_features = n_features
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if is_bfloat16 else "f32",
            "NUM_STREAMS": n_threads(),
            "INFERENCE_NUM_THREADS": n_threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would pin themselves to the same cores
        }
        self._queues = [ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", settings), 2 * n_threads())]
        # Its threads must end before the interpreter does, or the process may abort on its way out.
        weakref.finalize(self, self._queues.clear)
        self._lock = threading.Lock()

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into features ``(b, n_features)`` float32."""
        pixels = np.ascontiguousarray(pixels)
        features = np.empty((len(pixels), self._n_features), dtype=np.float32)

        def keep(request: Any, rows: slice) -> None:
            features[rows] = request.get_output_tensor(0).data[: rows.stop - rows.start]

        groups = [(rows, fill_up(pixels[rows])) for rows in iter_chunks(len(pixels), GROUP)]
        with self._lock:
            queue = self._queues[0]
            queue.set_callback(keep)
            try:
                for rows, group in groups:
                    queue.start_async({0: group}, rows, share_inputs=True)
            finally:  # after an interrupt too: the groups must outlive the inference that reads them
                queue.wait_all()
        return features


def compile_network(network: PixelNetwork, spec: BackboneSpec, *, is_bfloat16: bool) -> CompiledNetwork:
    """Trace a network of torch and compile the graph.

    Parameters
    ----------
    network : PixelNetwork
        In float32 on the CPU, in evaluation mode.
    spec : BackboneSpec
        Input size and width.
    is_bfloat16 : bool
        In what most of it is computed; else float32.

    Returns
    -------
    compiled : CompiledNetwork
        It holds its own copy of the weights.
    """
    # One image, once: the converter's own tracing takes a group of them three times, which for a large network costs
    # more than some collections. Tracing warns of every Python number that depends on a shape; none but the number of
    # images changes afterwards.
    image = torch.zeros((1, *spec.input_size, 3), dtype=torch.uint8)
    with without_telemetry(), torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        traced = trace(network, image, check_trace=False)
        model = ov.convert_model(traced, example_input=image, input=[ov.PartialShape([GROUP, *spec.input_size, 3])])
    return CompiledNetwork(model, spec.n_features, is_bfloat16=is_bfloat16)
