"""What runs a network: chosen by measurement, or by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from covey._torch import matmul_dtype, resolve_device
from covey.backbones._efficientnet._eager import TorchNetwork
from covey.errors import InvalidValueError, MissingExtraError
from covey.types import BackboneSpec, ByteArray, FloatArray

if TYPE_CHECKING:
    from covey.backbones._efficientnet._network import ConvLayer

RUNTIMES = ("auto", "openvino", "torch")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A decision on how to compute a network.

    Attributes
    ----------
    name : {"openvino", "torch"}
        What runs it.
    device : str
        Where.
    precision : {"float32", "bfloat16"}
        In what most of it is computed.
    build : callable
        Makes the network from folded convolutions and the specification.
    """

    name: str
    device: str
    precision: str
    build: "Callable[[Sequence[ConvLayer], BackboneSpec], Callable[[ByteArray], FloatArray]]"


def resolve_runtime(spec: BackboneSpec, *, device: str, precision: str, runtime: str) -> Runtime:
    """Decide what runs a network of convolutions.

    Parameters
    ----------
    spec : BackboneSpec
        The backbone, for messages.
    device, precision, runtime : str
        As for `covey.backbones.load_backbone`.

    Returns
    -------
    runtime : Runtime
        Nothing is left ``"auto"`` in it.

    Raises
    ------
    InvalidValueError
        If a word is unknown or the combination cannot be had.
    MissingExtraError
        If OpenVINO was asked for and is not installed.

    Notes
    -----
    OpenVINO in bfloat16 takes a third or less of the processor time that ONNX Runtime and eager torch take
    (``benchmarks/extraction_runtimes.csv``), so it is the choice on the CPU wherever it is installed; on other devices
    torch is.
    """
    if runtime not in RUNTIMES:
        raise InvalidValueError(f"runtime is {runtime!r}; it must be one of {', '.join(RUNTIMES)}.")
    place = resolve_device(device)
    dtype = matmul_dtype(place, precision)
    words = {"device": str(place), "precision": "bfloat16" if dtype == torch.bfloat16 else "float32"}
    if runtime == "openvino" or (runtime == "auto" and place.type == "cpu" and find_spec("openvino") is not None):
        if place.type != "cpu":
            raise InvalidValueError(f"OpenVINO runs {spec.name} on the CPU only; leave out device {device!r}.")
        if find_spec("openvino") is None:
            raise MissingExtraError(f"runtime 'openvino' of {spec.name} needs OpenVINO: pip install openvino")
        from covey.backbones._efficientnet._openvino import OpenVINONetwork  # noqa: PLC0415 - imported where it is installed only

        return Runtime("openvino", **words, build=partial(OpenVINONetwork, precision=words["precision"]))
    return Runtime("torch", **words, build=partial(TorchNetwork, device=place, dtype=dtype))
