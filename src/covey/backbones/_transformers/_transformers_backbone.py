"""The loader: a catalog row, or a folder that a person named, to a backbone."""

from pathlib import Path
from typing import Any

import torch

from covey.backbones._model_files import check_weights, find_model, hash_model, weight_files
from covey.backbones._network_backbone import ImageTextBackbone, NetworkBackbone
from covey.backbones._runtimes import build_network, resolve_runtime
from covey.backbones._transformers._architectures import find_architecture
from covey.backbones._transformers._folder import check_config, is_transformers_folder, read_config
from covey.backbones._transformers._modules import PooledModel, make_config, read_module
from covey.backbones._transformers._published_checkpoints import read_checkpoint
from covey.backbones._transformers._text import TextTower
from covey.errors import ModelError
from covey.types import BackboneSpec


def load_transformers(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> NetworkBackbone:
    """Load a model from its folder or file; see `load_backbone`.

    A folder in the layout of transformers is read by the library. Any other file or folder holds weights alone: the
    catalog's row says what network they belong to, and their names are translated.
    """
    chosen = resolve_runtime(spec, device=device, precision=precision, runtime=runtime)
    path = weights or find_model(spec)
    if not path.exists():
        raise ModelError(f"The weights of {spec.name} cannot be read from {str(path)!r}: no such file or folder.")
    is_folder = path.is_dir() and is_transformers_folder(path)
    module, config = _read_folder(path, spec) if is_folder else _read_file(path, spec)
    _check_rows(module, spec)
    words: dict[str, Any] = {
        "chosen": chosen,
        "sha256": _check_hash(path, spec),
        # A folder that has no row is found again by its path.
        "source": (str(path) if spec.weights == "folder" else spec.name, str(chosen.device), weights),
    }
    if chosen.name != "torch":
        module.fix_input_size(spec.input_size)
    network = build_network(module, spec, chosen)
    if is_folder and find_architecture(spec.architecture, spec.name).text:
        return ImageTextBackbone(TextTower(path, config, spec, chosen.device), spec, network, **words)
    return NetworkBackbone(spec, network, **words)


def _read_folder(folder: Path, spec: BackboneSpec) -> tuple[PooledModel, Any]:
    """Read the image network, and the configuration of all of the model."""
    check_weights(weight_files(folder))
    config = read_config(folder, spec.name)
    check_config(config, spec, folder)
    return read_module(spec, config, folder=folder), config


def _read_file(path: Path, spec: BackboneSpec) -> tuple[PooledModel, Any]:
    """Read weights alone into the network of the catalog's row."""
    if not spec.config:
        raise ModelError(f"{str(path)!r} holds weights alone, and nothing says what network they belong to.")
    if spec.has_text:
        raise ModelError(
            f"{spec.name} has a tokenizer and two towers: give its folder, with config.json, instead of {str(path)!r}."
        )
    config, state = make_config(spec), dict[str, torch.Tensor]()
    for file in weight_files(path):
        state |= read_checkpoint(file, spec)
    return read_module(spec, config, state=state), config


def _check_hash(path: Path, spec: BackboneSpec) -> str:
    """Return the hash of the model, which must be the row's where that has one."""
    found = hash_model(path)
    if spec.sha256 not in ("", found):
        raise ModelError(
            f"{str(path)!r} is not the {spec.name} that the catalog names, or is damaged: its hash is {found}, but "
            f"it must be {spec.sha256}."
        )
    return found


@torch.inference_mode()
def _check_rows(module: PooledModel, spec: BackboneSpec) -> None:
    """Put one gray image through, so that a size that does not fit is said here and not in the middle of a night."""
    try:
        rows = module(torch.zeros((1, 3, *spec.input_size)))
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{spec.name} cannot take images of {spec.input_size} pixels: {reason}") from error
    if rows.shape != (1, spec.n_features):
        raise ModelError(f"{spec.name} gives rows of {rows.shape[1]} numbers, not of {spec.n_features}.")
