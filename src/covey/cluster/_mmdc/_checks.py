"""What MMDC checks at its door: its parameters, its pictures, and a training that is to go on."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from covey.cluster._checks import check_choices, check_integer, check_real
from covey.types import ByteArray, TrainingState

LEAST_SIZE_PX = 16  # what four halvings leave a pixel of

_CHOICES = {
    "trunk": ("resnet18", "small_vgg"),
    "targets": ("mixture", "noise", "none"),
    "means": ("one_hot", "random"),
}
_SWITCHES = ("flip", "rotation", "sobel")
_SHARES = ("grey", "decay_at", "refine_at", "momentum", "decay_factor")
_FULL_SCALE = 255
_LEAST_SIDE_PX = 8
_N_SAMPLED = 1024


def check_mmdc_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of MMDC's parameters that is out of range, or that does not fit another."""
    given = {name: value for name, value in parameters.items() if value is not None}
    check_choices(given, _CHOICES)
    for name in _SWITCHES:
        if not isinstance(given[name], (bool, np.bool_)):
            raise TypeError(f"{name} is {given[name]!r}; it must be True or False.")
    for name in ("width", "target_dim", "n_epochs"):
        if name in given:
            check_integer(name, given[name], minimum=1)
    check_integer("batch_size", given["batch_size"], minimum=2)
    if "input_size" in given:
        check_integer("input_size", given["input_size"], minimum=LEAST_SIZE_PX)
    check_real("learning_rate", given["learning_rate"], open_low=True)
    for name in ("weight_decay", "sigma"):
        check_real(name, given[name])
    check_real("max_turn", given["max_turn"], high=180)
    for name in _SHARES:
        if name in given:
            check_real(name, given[name], high=1.0)
    _check_numbers("jitter", given["jitter"], n_numbers=4)
    crops = given["crops"]
    _check_numbers("crops", [crops] if np.isscalar(crops) else crops, open_low=True, high=1.0)
    _check_combination(given)


def _check_combination(given: Mapping[str, Any]) -> None:
    """Raise where one parameter leaves nothing for another to do."""
    if given["targets"] != "mixture":
        for name, default in (("refine_at", None), ("sigma", 0)):
            if given.get(name) not in (default, None):
                raise ValueError(f"{name} is {given[name]}, but targets={given['targets']!r} has no mixture of means.")
    if given["targets"] == "none" and not given["rotation"]:
        raise ValueError("targets='none' with rotation=False leaves nothing to learn; switch one of them on.")
    dim = given.get("target_dim")
    if given["targets"] == "mixture" and given["means"] == "one_hot" and dim is not None and dim < given["n_clusters"]:
        raise ValueError(
            f"target_dim is {dim}, but {given['n_clusters']} one-hot means need as many dimensions; leave it out, or "
            "take means='random'."
        )


def _check_numbers(
    name: str, values: Any, *, n_numbers: int | None = None, open_low: bool = False, high: float = np.inf
) -> None:
    """Raise unless `values` is a sequence of numbers in range, `n_numbers` of them if given."""
    if not isinstance(values, (Sequence, np.ndarray)) or len(values) == 0:
        raise TypeError(f"{name} is {values!r}; it must be a sequence of numbers.")
    if n_numbers is not None and len(values) != n_numbers:
        raise ValueError(f"{name} has {len(values)} numbers; it must have {n_numbers}.")
    for value in values:
        check_real(f"Each of {name}", value, high=high, open_low=open_low)


def check_pictures(X: Any, *, fewest: int = 1) -> ByteArray:
    """Return pictures (n, h, w) or (n, h, w, 3) as bytes; a memory map of bytes is not read.

    Raises if they are of different sizes or kinds, too few or too small, or not on the scale from 0 to 255.
    """
    array = X if isinstance(X, np.ndarray) else _stack(X)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        raise ValueError(
            f"X has shape {array.shape}; pictures must be (n, h, w, 3) in colour or (n, h, w) in grey. One picture "
            "alone is X[None]."
        )
    if len(array) < fewest:
        raise ValueError(
            f"X has {len(array)} picture(s) (n_samples={len(array)}); at least {fewest} are needed to learn from."
        )
    if min(array.shape[1:3]) < _LEAST_SIDE_PX:
        raise ValueError(
            f"X has shape {array.shape}, so pictures of {array.shape[1]} x {array.shape[2]} pixels; both sides must be "
            f"at least {_LEAST_SIDE_PX}. One picture in colour alone is X[None]."
        )
    if array.dtype != np.uint8:
        return _to_bytes(array)
    pixels: ByteArray = np.asarray(array)
    return pixels


def _stack(X: Any) -> np.ndarray[Any, Any]:
    """Make an array of a sequence of pictures, which must agree in size and kind."""
    pictures = [np.asarray(picture) for picture in X]
    n_gray = sum(picture.ndim == 2 for picture in pictures)
    if 0 < n_gray < len(pictures):
        raise ValueError(
            f"X holds {n_gray} pictures in grey (h, w) and {len(pictures) - n_gray} others; bring all to (h, w, 3), "
            "which np.stack([grey] * 3, axis=-1) does, or all to grey."
        )
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) > 1:
        told = ", ".join(map(str, shapes[:3])) + (", ..." if len(shapes) > 3 else "")
        raise ValueError(f"X holds pictures of {len(shapes)} shapes ({told}); scale or crop all to one size first.")
    stacked: np.ndarray[Any, Any] = np.array(pictures)
    return stacked


def _to_bytes(array: np.ndarray[Any, Any]) -> ByteArray:
    """Return pixels of another dtype as bytes; floats are rounded."""
    if array.dtype.kind not in "fiu":
        raise TypeError(f"X has dtype {array.dtype}; pixels must be numbers from 0 to {_FULL_SCALE}, uint8 best.")
    low, high = array.min(), array.max()  # NaN if there is one
    if not (low >= 0 and high <= _FULL_SCALE):
        raise ValueError(f"X holds pixels from {low} to {high}; they must be finite and lie in [0, {_FULL_SCALE}].")
    if array.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(
            f"X holds floats up to {high}, which looks like a scale of 0 to 1; pixels go from 0 to {_FULL_SCALE}: "
            f"multiply by {_FULL_SCALE}."
        )
    rounded: ByteArray = np.rint(array).astype(np.uint8)
    return rounded


def describe_training(parameters: Mapping[str, Any], pixels: ByteArray) -> dict[str, Any]:
    """Gather by what a training is known again: its parameters, and a checksum over up to 1,024 of its pictures."""
    told = {name: value for name, value in parameters.items() if name != "device"}
    if not isinstance(told["random_state"], (int, np.integer)):
        told["random_state"] = None  # a generator has moved on; the training's own one is kept
    rows = np.unique(np.linspace(0, len(pixels) - 1, _N_SAMPLED).astype(np.int64))
    told["pictures"] = {"shape": list(pixels.shape), "crc32": zlib.crc32(np.ascontiguousarray(pixels[rows]).data)}
    plain: dict[str, Any] = json.loads(json.dumps(told, default=_as_plain))
    return plain


def check_state(state: TrainingState, facts: Mapping[str, Any]) -> None:
    """Raise if a state belongs to another training than the one that `describe_training` describes."""
    for name, value in facts.items():
        before = state.facts.get(name)
        if before != value:
            raise ValueError(
                f"The training to go on with is another one: {name} was {before!r} there and is {value!r} now. Go on "
                "with the same pictures and parameters, or start anew without it."
            )


def _as_plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else list(value)
