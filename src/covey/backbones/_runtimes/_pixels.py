"""A network with its normalisation in front: what is exported, compiled and run."""

import torch
from torch import nn

from covey.types import BackboneSpec


class PixelNetwork(nn.Module):
    """A network that takes bytes.

    Parameters
    ----------
    module : nn.Module
        Normalised pixels (b, 3, h, w) float32 to features (b, n_features).
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
