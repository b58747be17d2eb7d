"""Single files of weights as their authors published them, with the names that transformers uses.

The self-supervised ViTs and ResNets of 2021 and 2022 were published as files of torch, in the layout of timm's ViT or
of torchvision's ResNet, among the other things that a training keeps. Their names are translated here; what belongs to
a head is left out.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from covey.backbones._weights import read_tensors
from covey.errors import ModelError
from covey.types import BackboneSpec

_CONTAINERS: Final = ("target_encoder", "teacher", "state_dict", "model")
_PREFIXES: Final = ("module.", "base_encoder.", "backbone.")
_HEADS: Final = ("head", "head_dist", "fc", "fc_norm", "decoder", "mask_token", "predictor", "momentum_encoder")

_VIT_NAMES: Final = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "norm": "layernorm",
}
_ATTENTION: Final = ("query", "key", "value")


def read_checkpoint(path: Path, spec: BackboneSpec) -> dict[str, torch.Tensor]:
    """Read a file of weights and name its tensors as the files of transformers do.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or one that ``torch.save`` wrote; nothing in it is executed.
    spec : BackboneSpec
        The backbone, for messages and for the depth of its stages.

    Returns
    -------
    state : dict of str to Tensor
        For a ViT or a ResNet; other files come back as they are, without the training around them.

    Raises
    ------
    ModelError
        If the file is damaged or holds no named tensors.
    """
    state = _strip(_unpack(read_tensors(path, spec.name)))
    if any(".attn.qkv." in name for name in state):
        return _rename_vit(state)
    if any(name.startswith("layer1.0.conv1") for name in state):
        return _rename_resnet(state)
    return state


def _unpack(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Take the tensors of the network out of what a training kept."""
    for container in _CONTAINERS:
        inner = content.get(container)
        if isinstance(inner, Mapping):
            content = inner
            break
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _strip(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take off what wrappers put before names, and leave heads and second networks out."""
    result = {}
    for name, tensor in state.items():
        bare, before = name, ""
        while bare != before:
            before = bare
            for prefix in _PREFIXES:
                bare = bare.removeprefix(prefix)
        if bare.partition(".")[0] not in _HEADS and not bare.startswith("decoder_"):
            result[bare] = tensor
    return result


def _rename_vit(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename timm's ViT, whose blocks keep queries, keys and values in one matrix."""
    result = {}
    for name, tensor in state.items():
        block = re.fullmatch(r"blocks\.(\d+)\.(.+?)\.?(weight|bias)", name)
        prefix = f"encoder.layer.{block[1]}." if block else ""
        inner, kind = (block[2], block[3]) if block else _split_kind(name)
        if inner == "attn.qkv":
            for part, rows in zip(_ATTENTION, tensor.chunk(3), strict=True):
                result[f"{prefix}attention.attention.{part}.{kind}"] = rows.clone()
        else:
            result[f"{prefix}{_VIT_NAMES.get(inner, inner)}{'.' if kind else ''}{kind}"] = tensor
    return result


def _split_kind(name: str) -> tuple[str, str]:
    inner, dot, kind = name.rpartition(".")
    return (inner, kind) if dot and kind in ("weight", "bias") else (name, "")


def _rename_resnet(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename torchvision's ResNet with bottlenecks."""
    result = {}
    for name, tensor in state.items():
        unit, kind = name.rsplit(".", 1)
        block = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample)\.?(\d)", unit)
        stem = {"conv1": "convolution", "bn1": "normalization"}.get(unit)
        if stem is not None:
            target = f"embedder.embedder.{stem}"
        elif block is None:
            raise ModelError(f"{name!r} is not a tensor of a ResNet with bottlenecks.")
        elif block[3] == "downsample":
            part = ("convolution", "normalization")[int(block[4])]
            target = f"encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.shortcut.{part}"
        else:
            part = {"conv": "convolution", "bn": "normalization"}[block[3]]
            target = f"encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.layer.{int(block[4]) - 1}.{part}"
        result[f"{target}.{kind}"] = tensor
    return result
