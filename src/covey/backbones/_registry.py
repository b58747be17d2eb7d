"""The backbones, one table each of `catalog.toml`, and the loaders that turn a row into a model."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from covey.registry import Registry
from covey.types import BackboneSpec


def read_catalog(text: str) -> dict[str, BackboneSpec]:
    """Read a catalog of backbones.

    Parameters
    ----------
    text : str
        TOML with the tables ``normalizations`` and ``models``; the head of `catalog.toml` says what they hold.

    Returns
    -------
    specs : dict of str to BackboneSpec
        By the models' names, in the order of the catalog.

    Raises
    ------
    KeyError
        If a model is like one that does not precede it, or names a normalization that is not there.
    TypeError
        If a fact is missing or unknown.
    """
    catalog = tomllib.loads(text)
    facts: dict[str, dict[str, Any]] = {}
    for name, own in catalog["models"].items():
        # A model that is like another one has its facts, less those that it names itself.
        base = facts[own["like"]] if "like" in own else {}
        facts[name] = {**base, **{key: value for key, value in own.items() if key != "like"}}
    return {name: _to_spec(name, fact, catalog["normalizations"]) for name, fact in facts.items()}


def _to_spec(name: str, facts: Mapping[str, Any], normalizations: Mapping[str, Any]) -> BackboneSpec:
    """Make the row of a model from its facts."""
    scale = normalizations[facts["normalization"]]
    mean, std = (tuple(float(scale["unit"] * value) for value in scale[key]) for key in ("mean", "std"))
    side = facts["input_size"]
    plain = {key: value for key, value in facts.items() if key not in ("normalization", "input_size")}
    return BackboneSpec(name=name, input_size=(side, side), mean=mean, std=std, **plain)  # type: ignore[arg-type]  # three channels


def _builtin_backbones() -> dict[str, BackboneSpec]:
    return read_catalog(files("covey.backbones").joinpath("catalog.toml").read_text(encoding="utf-8"))


BACKBONES: Final = Registry("backbone", "covey.backbones", _builtin_backbones)

LOADERS: Final = Registry(
    "backbone loader",
    "covey.backbone_loaders",
    {
        "efficientnet_lite": "covey.backbones._efficientnet:load_efficientnet_lite",
        "color_histogram": "covey.backbones._color_histogram:load_color_histogram",
        "random_patches": "covey.backbones._random_patches:load_random_patches",
        "transformers": "covey.backbones._transformers:load_transformers",
        "timm": "covey.backbones._timm:load_timm",
        "open_clip": "covey.backbones._open_clip:load_open_clip",
    },
)
