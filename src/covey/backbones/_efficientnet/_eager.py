"""Running a network of convolutions with torch: on a GPU, where OpenVINO is not installed, and to train it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from covey._torch import to_numpy, to_tensor
from covey.backbones._efficientnet._rounding import N_EXACT, round_for_bfloat16
from covey.engines import n_threads
from covey.types import BackboneSpec, ByteArray, FloatArray

if TYPE_CHECKING:
    from covey.backbones._efficientnet._network import ConvLayer, ConvSpec


class ConvNetwork(nn.Module):
    """The convolutions as a module of torch: its weights can be trained and saved.

    Batch normalization is folded into the weights, so there is no state besides them and no mode to choose.

    Parameters
    ----------
    layers : sequence of ConvLayer
        From stem to head.
    """

    def __init__(self, layers: "Sequence[ConvLayer]") -> None:
        super().__init__()
        self._convs: list[ConvSpec] = [layer.spec for layer in layers]
        self.weights = nn.ParameterList(
            torch.tensor(layer.weight).contiguous(memory_format=torch.channels_last) for layer in layers
        )
        self.biases = nn.ParameterList(torch.tensor(layer.bias) for layer in layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn normalized pixels ``(b, 3, h, w)`` of any size into pooled features ``(b, n_features)`` float32."""
        inputs = []
        for conv, weight, bias in zip(self._convs, self.weights, self.biases, strict=True):
            inputs.append(x)
            x = functional.conv2d(_pad_same(x.to(weight.dtype), conv), weight, bias, conv.stride, groups=conv.groups)
            if conv.is_clipped:
                x = functional.relu6(x, inplace=True)
            if conv.skip_from is not None:
                x = x + inputs[conv.skip_from]
        return x.float().mean(dim=(2, 3))


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

    Attributes
    ----------
    module : ConvNetwork
        The weights, and what is done with them.
    """

    def __init__(
        self, layers: "Sequence[ConvLayer]", spec: BackboneSpec, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        if n_threads() < torch.get_num_threads():  # this process may not run on all processors
            torch.set_num_threads(n_threads())
        if dtype == torch.bfloat16:
            rounded = round_for_bfloat16(layers)
            layers = [replace(layer, weight=weight) for layer, weight in zip(layers, rounded, strict=True)]
        self._device = device
        self.module = ConvNetwork(layers).requires_grad_(False).to(device)
        for parameters in (self.module.weights, self.module.biases):
            for parameter in list(parameters)[N_EXACT:]:
                parameter.data = parameter.data.to(dtype)
        self._mean = torch.tensor(spec.mean, device=device)
        self._std = torch.tensor(spec.std, device=device)

    @torch.inference_mode()
    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into pooled features ``(b, n_features)`` float32."""
        return to_numpy(self.forward(to_tensor(np.ascontiguousarray(pixels), self._device)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the same on tensors."""
        x = (pixels.float() - self._mean) / self._std
        features: torch.Tensor = self.module(x.permute(0, 3, 1, 2))  # (b, 3, h, w), channels last in memory
        return features


def _pad_same(x: torch.Tensor, conv: "ConvSpec") -> torch.Tensor:
    """Pad (b, c, h, w) as TensorFlow's SAME does: with an odd number of zeros, the last one goes below and right."""
    padding = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // conv.stride) - 1) * conv.stride + conv.kernel - size, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(x, padding) if any(padding) else x
