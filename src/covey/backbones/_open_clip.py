"""Backbones that the library OpenCLIP builds (extra ``openclip``); it needs torchvision.

This loader is tested with a stand-in for the library: where covey was built, OpenCLIP cannot be imported.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from covey._arrays import iter_chunks
from covey._torch import to_numpy
from covey.backbones._model_files import check_weights, find_model, hash_model, weight_files
from covey.backbones._network_backbone import ImageTextBackbone
from covey.backbones._runtimes import build_network, resolve_runtime
from covey.backbones._weights import LOADING_ERRORS, explain_loading
from covey.errors import ModelError
from covey.registry import require
from covey.types import BackboneSpec, FloatArray

_BATCH = 64


def load_open_clip(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> ImageTextBackbone:
    """Build both towers from a file of weights; see `load_backbone`."""
    library = require("open_clip", extra="openclip", for_=f"backbone {spec.name!r}")
    chosen = resolve_runtime(spec, device=device, precision=precision, runtime=runtime)
    path = weights or find_model(spec)
    (file,) = weight_files(path, spec.loader)
    check_weights([file])
    try:
        model = library.create_model(spec.architecture, pretrained=str(file))
    except LOADING_ERRORS as error:
        raise ModelError(f"The weights are not those of {spec.name}: {explain_loading(error)}") from error
    model = model.float().requires_grad_(False).eval()
    tokenize = library.get_tokenizer(spec.architecture)

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> FloatArray:
        text_model: Any = model.to(chosen.device)
        rows = [
            to_numpy(text_model.encode_text(tokenize(list(texts[part])).to(chosen.device)))
            for part in iter_chunks(len(texts), _BATCH)
        ]
        return np.concatenate(rows).astype(np.float32)

    return ImageTextBackbone(
        encode,
        spec,
        build_network(model.visual, spec, chosen),
        chosen=chosen,
        sha256=hash_model(path, spec.loader),
        source=(spec.name, str(chosen.device), weights),
    )
