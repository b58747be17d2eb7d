"""The network that is exported, compiled and run: it takes bytes, and images go through it in groups of one size."""

from typing import Final

import numpy as np
import torch
from torch import nn

from covey.types import BackboneSpec, ByteArray

GROUP: Final = 8
"""Images in one inference on the CPU, so that all of them meet the same kernels."""


class PixelNetwork(nn.Module):
    """A network with its normalization in front.

    Parameters
    ----------
    module : nn.Module
        Normalized pixels (b, 3, h, w) float32 to features (b, n_features).
    spec : BackboneSpec
        Mean and standard deviation.
    """

    def __init__(self, module: nn.Module, spec: BackboneSpec) -> None:
        super().__init__()
        self.module = module
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(spec.std), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn pixels (b, h, w, 3) uint8 into features (b, n_features) float32."""
        x = (pixels.float() - self.mean) * self.scale
        features: torch.Tensor = self.module(x.permute(0, 3, 1, 2))  # (b, 3, h, w), channels last in memory
        return features.float()


def fill_up(group: ByteArray) -> ByteArray:
    """Fill a group (n, h, w, 3) up to 8 images with black ones; a full one is returned as it is."""
    if len(group) == GROUP:
        return group
    filled = np.zeros((GROUP, *group.shape[1:]), dtype=np.uint8)
    filled[: len(group)] = group
    return filled
