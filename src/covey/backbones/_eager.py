"""Running a network of convolutions with torch: on a GPU, and where OpenVINO is not installed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from covey._torch import to_numpy, to_tensor
from covey.backbones._rounding import N_EXACT, round_for_bfloat16
from covey.engines import n_threads
from covey.types import BackboneSpec, ByteArray, FloatArray

if TYPE_CHECKING:
    from covey.backbones._efficientnet import ConvLayer, ConvSpec


class TorchNetwork:
    """Convolutions evaluated one after the other, channels last.

    Parameters
    ----------
    layers : sequence of ConvLayer
        From stem to head.
    spec : BackboneSpec
        Mean and standard deviation.
    device : torch.device
        Where it runs.
    dtype : torch.dtype
        In what all but the first convolutions are computed.
    """

    def __init__(
        self, layers: "Sequence[ConvLayer]", spec: BackboneSpec, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        if n_threads() < torch.get_num_threads():  # in a worker of a pool, which has a share of the processors
            torch.set_num_threads(n_threads())
        is_rounded = dtype == torch.bfloat16
        weights = round_for_bfloat16(layers) if is_rounded else [layer.weight for layer in layers]
        self._device = device
        self._layers: list[tuple[ConvSpec, torch.Tensor, torch.Tensor]] = []
        for place, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
            kind = torch.float32 if place < N_EXACT else dtype
            filters = torch.from_numpy(weight).to(device, kind, memory_format=torch.channels_last)
            self._layers.append((layer.spec, filters, torch.from_numpy(layer.bias).to(device, kind)))
        self._mean = torch.tensor(spec.mean, device=device)
        self._std = torch.tensor(spec.std, device=device)

    @torch.inference_mode()
    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into pooled features ``(b, n_features)`` float32."""
        return to_numpy(self.forward(to_tensor(np.ascontiguousarray(pixels), self._device)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the same on tensors."""
        x = (pixels.float() - self._mean) / self._std
        x = x.permute(0, 3, 1, 2)  # (b, 3, h, w), channels last in memory
        inputs = []
        for conv, weight, bias in self._layers:
            inputs.append(x)
            x = functional.conv2d(_pad_same(x.to(weight.dtype), conv), weight, bias, conv.stride, groups=conv.groups)
            if conv.is_clipped:
                x = x.clamp_(0, 6)
            if conv.skip_from is not None:
                x = x + inputs[conv.skip_from]
        return x.float().mean(dim=(2, 3))


def _pad_same(x: torch.Tensor, conv: "ConvSpec") -> torch.Tensor:
    """Pad (b, c, h, w) as TensorFlow's SAME does: with an odd number of zeros, the last one goes below and right."""
    padding = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // conv.stride) - 1) * conv.stride + conv.kernel - size, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(x, padding) if any(padding) else x
