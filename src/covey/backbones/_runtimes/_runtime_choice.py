"""What runs a network: chosen by measurement, or by name."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import torch

from covey._torch import matmul_dtype, resolve_device
from covey.errors import InvalidValueError, MissingExtraError
from covey.types import BackboneSpec

RUNTIMES: Final = ("auto", "openvino", "onnx", "torch")
_MODULES = {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime")}
_INSTALL = {"openvino": "pip install openvino", "onnx": "pip install 'covey[onnx]'"}


@dataclass(frozen=True, slots=True)
class Runtime:
    """A decision on how to compute a network; nothing is left ``"auto"`` in it.

    Attributes
    ----------
    name : {"openvino", "onnx", "torch"}
        What runs it.
    device : torch.device
        Where.
    dtype : torch.dtype
        In what most of it is computed.
    """

    name: str
    device: torch.device
    dtype: torch.dtype

    @property
    def precision(self) -> str:
        """The dtype in a person's word: ``"bfloat16"`` or ``"float32"``."""
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"


def resolve_runtime(spec: BackboneSpec, *, device: str, precision: str, runtime: str) -> Runtime:
    """Decide what runs a network.

    Parameters
    ----------
    spec : BackboneSpec
        The backbone, for messages.
    device, precision, runtime : str
        As for `covey.backbones.load_backbone`.

    Returns
    -------
    runtime : Runtime
        What can be had on this machine.

    Raises
    ------
    InvalidValueError
        If a word is unknown or the combination cannot be had.
    MissingExtraError
        If the runtime that was asked for is not installed.

    Notes
    -----
    OpenVINO in bfloat16 takes a third or less of the processor time that ONNX Runtime and eager torch take for mobile
    networks, and is the fastest for a ViT as well (``benchmarks/extraction_runtimes.csv``), so it is the choice on the
    CPU wherever it is installed; on other devices torch is.
    """
    if runtime not in RUNTIMES:
        raise InvalidValueError(f"runtime is {runtime!r}; it must be one of {', '.join(RUNTIMES)}.")
    place = resolve_device(device)
    if runtime == "onnx" and precision == "auto":
        precision = "float32"
    dtype = matmul_dtype(place, precision)
    if runtime == "auto":
        runtime = "openvino" if place.type == "cpu" and _is_installed("openvino") else "torch"
    if runtime != "torch":
        _check_can_run(spec, runtime, place, dtype)
    return Runtime(runtime, place, dtype)


def _check_can_run(spec: BackboneSpec, runtime: str, place: torch.device, dtype: torch.dtype) -> None:
    """Refuse a runtime that is not installed, or that cannot do what is asked of it."""
    if place.type != "cpu":
        raise InvalidValueError(f"Runtime {runtime!r} runs {spec.name} on the CPU only; leave out device {place!s}.")
    if not _is_installed(runtime):
        needed = " and ".join(_MODULES[runtime])
        raise MissingExtraError(f"runtime {runtime!r} of {spec.name} needs {needed}: {_INSTALL[runtime]}")
    if runtime == "onnx" and dtype != torch.float32:
        raise InvalidValueError(f"Runtime 'onnx' runs {spec.name} in float32 only; leave out the precision.")


def _is_installed(runtime: str) -> bool:
    return all(find_spec(module) is not None for module in _MODULES[runtime])
