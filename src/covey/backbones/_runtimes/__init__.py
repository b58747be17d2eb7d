"""Running networks: OpenVINO, ONNX Runtime or torch, chosen by measurement or by name.

Start reading at `_choice`. OpenVINO and ONNX Runtime are imported where they run something.
"""

from covey.backbones._runtimes._networks import Network, build_network
from covey.backbones._runtimes._onnx import OnnxNetwork, export_onnx
from covey.backbones._runtimes._pixel_network import PixelNetwork
from covey.backbones._runtimes._runtime_choice import RUNTIMES, Runtime, resolve_runtime

__all__ = [
    "RUNTIMES",
    "Network",
    "OnnxNetwork",
    "PixelNetwork",
    "Runtime",
    "build_network",
    "export_onnx",
    "resolve_runtime",
]
