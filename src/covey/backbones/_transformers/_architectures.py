"""The architectures: which classes of transformers build them, and where an image's row is in their output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import torch

from covey.errors import ModelError


@dataclass(frozen=True, slots=True)
class Architecture:
    """How one kind of network is built and read.

    Attributes
    ----------
    config : str
        Class of its configuration.
    image : str
        Class of the network, or of its image tower.
    pooling : str
        What an image's row is, unless a specification says something else; a key of `POOLINGS`.
    keywords : mapping
        Keywords of the class `image`.
    n_prefix_tokens : int
        Tokens before those of the patches; registers come on top.
    text : str
        Class of the text tower; empty if there is none.
    pads_texts : bool
        Whether the text tower was trained on texts filled up to its context.
    """

    config: str
    image: str
    pooling: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    n_prefix_tokens: int = 1
    text: str = ""
    pads_texts: bool = False


_NO_POOLER = MappingProxyType({"add_pooling_layer": False})

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "vit": Architecture("ViTConfig", "ViTModel", "class token", _NO_POOLER),
    "vit_mae": Architecture("ViTMAEConfig", "ViTMAEModel", "class token"),
    "vit_msn": Architecture("ViTMSNConfig", "ViTMSNModel", "class token"),
    "dinov2": Architecture("Dinov2Config", "Dinov2Model", "class token"),
    "dinov2_with_registers": Architecture("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", "class token"),
    "dinov3_vit": Architecture("DINOv3ViTConfig", "DINOv3ViTModel", "class token"),
    "dinov3_convnext": Architecture("DINOv3ConvNextConfig", "DINOv3ConvNextModel", "mean"),
    "ijepa": Architecture("IJepaConfig", "IJepaModel", "patch mean", _NO_POOLER, n_prefix_tokens=0),
    "convnext": Architecture("ConvNextConfig", "ConvNextModel", "mean"),
    "convnextv2": Architecture("ConvNextV2Config", "ConvNextV2Model", "mean"),
    "resnet": Architecture("ResNetConfig", "ResNetModel", "mean"),
    "clip": Architecture(
        "CLIPConfig", "CLIPVisionModelWithProjection", "projection", text="CLIPTextModelWithProjection"
    ),
    "siglip": Architecture("SiglipConfig", "SiglipVisionModel", "attention", text="SiglipTextModel", pads_texts=True),
}
"""By the word that the library's ``config.json`` has under ``model_type``."""


def _class_token(output: Any, n_prefix_tokens: int) -> torch.Tensor:
    del n_prefix_tokens
    token: torch.Tensor = output.last_hidden_state[:, 0]
    return token


def _patch_mean(output: Any, n_prefix_tokens: int) -> torch.Tensor:
    mean: torch.Tensor = output.last_hidden_state[:, n_prefix_tokens:].mean(dim=1)
    return mean


def _pooled(output: Any, n_prefix_tokens: int) -> torch.Tensor:
    del n_prefix_tokens
    pooled: torch.Tensor = output.pooler_output.flatten(1)
    return pooled


def _projected(output: Any, n_prefix_tokens: int) -> torch.Tensor:
    del n_prefix_tokens
    projected: torch.Tensor = output.image_embeds
    return projected


POOLINGS: Final[Mapping[str, Callable[[Any, int], torch.Tensor]]] = {
    "class token": _class_token,
    "patch mean": _patch_mean,
    "attention": _pooled,
    "mean": _pooled,
    "projection": _projected,
}
"""From a network's output to rows (b, n_features)."""


def find_architecture(name: str, where: str) -> Architecture:
    """Look up an architecture.

    Parameters
    ----------
    name : str
        A key of `ARCHITECTURES`.
    where : str
        What has it, for the message.

    Returns
    -------
    architecture : Architecture
        Its row.

    Raises
    ------
    ModelError
        If it is not one that covey can read.
    """
    if name not in ARCHITECTURES:
        raise ModelError(
            f"{where} is a model of the kind {name!r}, which covey cannot use as a backbone; it can use "
            f"{', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]
