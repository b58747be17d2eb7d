"""The backbone that runs an EfficientNet-Lite, and its loader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from covey.backbones._efficientnet._eager import TorchNetwork
from covey.backbones._efficientnet._network import ConvLayer, architecture, expected_shapes, fold
from covey.backbones._loading import check_pixels, feature_fingerprint, reload_backbone
from covey.backbones._runtimes import OnnxNetwork, PixelNetwork, Runtime, resolve_runtime
from covey.backbones._weights import check_shapes, find_weights, read_weights
from covey.errors import InvalidValueError
from covey.types import BackboneSpec, ByteArray, FloatArray

MULTIPLIERS: Final = {"efficientnet_lite0.in1k": (1.0, 1.0), "efficientnet_lite2.in1k": (1.1, 1.2)}
"""Width and depth of each."""


class EfficientNetLite:
    """A frozen EfficientNet-Lite, which gives pooled features.

    Parameters
    ----------
    spec : BackboneSpec
        Its row in the catalog.
    network : callable
        Pixels ``(b, h, w, 3)`` uint8 to pooled features ``(b, 1280)`` float32.
    precision, runtime : str
        In which and by what the network is computed.
    source : tuple
        Device and weights file that it was loaded with, for a pickled copy to load itself anew.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        network: Callable[[ByteArray], FloatArray],
        *,
        precision: str,
        runtime: str,
        source: tuple[str, Path | None],
    ) -> None:
        self._spec = spec
        self.network = network
        self._source = source
        self.precision = precision
        self.runtime = runtime

    def __reduce__(self) -> tuple[Any, ...]:
        return reload_backbone, (self._spec.name, *self._source, self.precision, self.runtime)

    @property
    def spec(self) -> BackboneSpec:
        """The catalog row."""
        return self._spec

    @property
    def fingerprint(self) -> str:
        """Identifies everything that changes the numbers."""
        return feature_fingerprint(self._spec, precision=self.precision, runtime=self.runtime)

    def encode_images(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels into features.

        Parameters
        ----------
        pixels : ndarray of shape (b, h, w, 3), dtype uint8
            Images of the specification's size; mean and standard deviation are taken care of here.

        Returns
        -------
        features : ndarray of shape (b, 1280), dtype float32
            The last feature map's mean over its pixels, in [0, 6]. With OpenVINO a row has the same bits whatever
            images are beside it; with torch it may differ in the last digits.

        Raises
        ------
        ValueError
            If shape or dtype do not fit.
        """
        check_pixels(pixels, self._spec)
        return self.network(pixels)


def load_efficientnet_lite(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> EfficientNetLite:
    """Read the weights, fold them and build the network for the runtime; see `load_backbone`."""
    if spec.name not in MULTIPLIERS:
        raise InvalidValueError(f"{spec.name!r} is not an EfficientNet-Lite; there are {', '.join(MULTIPLIERS)}.")
    chosen = resolve_runtime(spec, device=device, precision=precision, runtime=runtime)
    convs = architecture(*MULTIPLIERS[spec.name])
    state = read_weights(weights or find_weights(spec), spec)
    check_shapes(state, expected_shapes(convs), spec.name)
    return EfficientNetLite(
        spec,
        _build_network([fold(conv, state) for conv in convs], spec, chosen),
        precision=chosen.precision,
        runtime=chosen.name,
        source=(str(chosen.device), weights),
    )


def _build_network(layers: list[ConvLayer], spec: BackboneSpec, chosen: Runtime) -> Callable[[ByteArray], FloatArray]:
    """Make what turns pixels (b, h, w, 3) into features (b, 1280)."""
    if chosen.name == "openvino":
        from covey.backbones._efficientnet._lite_openvino import OpenVINONetwork

        return OpenVINONetwork(layers, spec, precision=chosen.precision)
    network = TorchNetwork(layers, spec, device=chosen.device, dtype=chosen.dtype)
    if chosen.name == "onnx":
        return OnnxNetwork(PixelNetwork(network.module, spec), spec)
    return network
