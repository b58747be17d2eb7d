"""From a name to a model, and from a model to the fingerprint of its features."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from covey.backbones._model_files import model_status
from covey.backbones._registry import BACKBONES, LOADERS
from covey.errors import InvalidValueError, ModelError
from covey.types import Backbone, BackboneSpec, ByteArray

if TYPE_CHECKING:
    from torch import nn

PREPROCESSING_VERSION: Final = 2
"""Raised whenever `covey.images` begins to give other pixels for the same file and specification."""

_NUMBERS = ("name", "n_features", "input_size", "crop_fraction", "interpolation", "mean", "std", "weights", "sha256")
_LATER_NUMBERS = ("revision", "pooling", "is_squashed")  # count where set: older fingerprints stay what they were


def load_backbone(
    name: str,
    *,
    device: str = "auto",
    weights: Path | None = None,
    precision: str = "auto",
    runtime: str = "auto",
) -> Backbone:
    """Load a registered backbone, ready to encode.

    Parameters
    ----------
    name : str
        A name of `BACKBONES`, or the path of a folder in the layout of transformers.
    device : str, default="auto"
        Where the network runs: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. A backbone without a network computes on
        the CPU whatever is said here.
    weights : Path, optional
        The weights file or model folder, where it is not to be found on this machine by name. It must hold the model
        that the catalog names; a hash that the catalog knows is checked.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        ``"auto"`` is bfloat16 where the device has it in hardware.
    runtime : str, default="auto"
        What runs the network: ``"openvino"``, ``"onnx"`` or ``"torch"``. ``"auto"`` takes the fastest installed one: on
        the CPU OpenVINO, else torch.

    Returns
    -------
    backbone : Backbone
        It can be pickled; the copy loads itself anew.

    Raises
    ------
    UnknownNameError
        If there is no such backbone.
    ModelError
        If the weights are missing, damaged or not those of this backbone.
    InvalidValueError
        If the device, precision or runtime is unknown or cannot be had for this backbone.
    MissingExtraError
        If the runtime that was asked for is not installed.
    """
    spec = find_spec(name)
    if spec.weights == "folder" and weights is None:
        weights = Path(name).expanduser().resolve()
    load = LOADERS[spec.loader]
    backbone: Backbone = load(spec, device=device, weights=weights, precision=precision, runtime=runtime)
    return backbone


def find_spec(name: str) -> BackboneSpec:
    """Describe a backbone by its name, or by the folder that holds it.

    Parameters
    ----------
    name : str
        A name of `BACKBONES`, or a path: whatever has a separator, or is a folder here.

    Returns
    -------
    spec : BackboneSpec
        The catalog's row, or what the folder says.

    Raises
    ------
    UnknownNameError
        If there is neither.
    ModelError
        If the path holds no model that can be used.
    """
    if _is_path(name):
        from covey.backbones._transformers import read_spec

        return read_spec(Path(name).expanduser().resolve())
    spec: BackboneSpec = BACKBONES[name]
    return spec


def require_models(names: Iterable[str]) -> None:
    """Say at once, before any library is loaded, if a backbone cannot be had here.

    Parameters
    ----------
    names : iterable of str
        Names of `BACKBONES`, or paths, as for `load_backbone`.

    Raises
    ------
    UnknownNameError
        If there is no such backbone.
    ModelError
        If its weights are not on this machine; with the command that brings them.
    """
    for name in names:
        if not _is_path(name):
            status = model_status(BACKBONES[name])
            if not status.is_here:
                status.require()
        elif not Path(name).expanduser().is_dir():
            raise ModelError(f"There is no folder {name!r}, and no backbone of that name: see covey models list.")


def load_torch_backbone(name: str, *, weights: Path | None = None) -> "nn.Module":
    """Load a backbone's network as a module of torch, to be trained.

    Parameters
    ----------
    name : str
        A name of `BACKBONES`, of a row that has a network.
    weights : Path, optional
        As for `load_backbone`.

    Returns
    -------
    module : nn.Module
        On the CPU, float32, the caller's own. It turns pixels ``(b, 3, h, w)``, less the catalog row's mean and
        divided by its standard deviation, into features ``(b, n_features)``: those of `load_backbone` with the runtime
        ``"torch"`` in float32. Height and width may be any.

    Raises
    ------
    UnknownNameError
        If there is no such backbone.
    ModelError
        If the weights are missing, damaged or not those of this backbone.
    InvalidValueError
        If the backbone has no network of torch.

    See Also
    --------
    covey.cluster.fine_tune : Trains it together with the heads of a TEMI.
    """
    backbone = load_backbone(name, device="cpu", weights=weights, precision="float32", runtime="torch")
    module: nn.Module | None = getattr(getattr(backbone, "network", None), "module", None)
    if module is None:
        raise InvalidValueError(f"{name} has no network of torch that could be trained.")
    return module.requires_grad_(True)


def export_backbone(name: str, path: Path, *, weights: Path | None = None) -> Path:
    """Write a backbone's image network as an ONNX file, for other programs.

    Parameters
    ----------
    name : str
        As for `load_backbone`, of a row that has a network of torch.
    path : Path
        The file to write.
    weights : Path, optional
        As for `load_backbone`.

    Returns
    -------
    path : Path
        The file. Its input ``pixels`` is (b, h, w, 3) uint8 of the specification's size, its output ``features`` is (b,
        n_features) float32; mean, deviation and pooling are inside.

    Raises
    ------
    MissingExtraError
        If the package onnx is not installed.
    InvalidValueError, ModelError, UnknownNameError
        As for `load_torch_backbone`.
    """
    from covey.backbones._runtimes import PixelNetwork, export_onnx

    module = load_torch_backbone(name, weights=weights).requires_grad_(False).eval()
    spec = find_spec(name)
    fix_input_size = getattr(module, "fix_input_size", None)
    if fix_input_size is not None:
        fix_input_size(spec.input_size)
    export_onnx(PixelNetwork(module, spec), spec, path)
    return path


def _is_path(name: str) -> bool:
    """Tell a path from a name: it has a separator, or is an existing folder that is not a backbone's name."""
    if any(separator and separator in name for separator in (os.sep, os.altsep)) or name.startswith("~"):
        return True
    return name not in BACKBONES and Path(name).is_dir()


@cache
def reload_backbone(name: str, device: str, weights: Path | None, precision: str, runtime: str) -> Backbone:
    """Load a backbone once in this process, however many pickled copies of it arrive with the shards."""
    return load_backbone(name, device=device, weights=weights, precision=precision, runtime=runtime)


def feature_fingerprint(spec: BackboneSpec, *, precision: str, runtime: str) -> str:
    """Name the feature set that a backbone makes.

    Parameters
    ----------
    spec : BackboneSpec
        Its row; the fields that change numbers count, license and paper do not.
    precision : str
        In which the network computes.
    runtime : str
        What runs it.

    Returns
    -------
    fingerprint : str
        The name and 16 hexadecimal digits of a sha256: letters, digits, ``.``, ``_`` and ``-`` only.

    Notes
    -----
    The runtime's version and the kind of processor are left out on purpose. They move the features by less than the
    precision does (cosine above 0.999), and an update should not make a large collection be computed anew.
    """
    facts: dict[str, Any] = {field: getattr(spec, field) for field in _NUMBERS}
    facts |= {field: value for field in _LATER_NUMBERS if (value := getattr(spec, field))}
    facts |= {"preprocessing": PREPROCESSING_VERSION, "precision": precision, "runtime": runtime}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', spec.name)}-{digest}"


def check_pixels(pixels: ByteArray, spec: BackboneSpec) -> None:
    """Refuse pixels that are not ``(b, h, w, 3)`` uint8 of the specification's size.

    Raises
    ------
    ValueError
        With what came and what is wanted.
    """
    wanted = (*spec.input_size, 3)
    if pixels.dtype != "uint8" or pixels.ndim != 4 or pixels.shape[1:] != wanted:
        raise ValueError(
            f"pixels has shape {pixels.shape} and dtype {pixels.dtype}; {spec.name} takes (b, "
            f"{', '.join(map(str, wanted))}) of dtype uint8: see covey.images.preprocess."
        )


def check_has_no_network(spec: BackboneSpec, *, weights: Path | None, precision: str, runtime: str) -> None:
    """Refuse options that a backbone without weights has no use for.

    Raises
    ------
    InvalidValueError
        If a weights file, another precision than float32 or another runtime than NumPy is asked for.
    """
    if weights is not None:
        raise InvalidValueError(f"{spec.name} has no weights; leave out the weights file {str(weights)!r}.")
    if precision not in ("auto", "float32"):
        raise InvalidValueError(f"{spec.name} computes in float32; precision {precision!r} cannot be had.")
    if runtime not in ("auto", "numpy"):
        raise InvalidValueError(f"{spec.name} runs in NumPy; runtime {runtime!r} cannot be had.")
