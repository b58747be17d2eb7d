"""A folder in the layout of transformers: what it says of its model, and whether that is the model that is wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from covey._files import parse_json
from covey.backbones._model_files import check_weights, hash_model, weight_files
from covey.backbones._transformers._architectures import ARCHITECTURES, find_architecture
from covey.backbones._weights import LOADING_ERRORS, explain_loading
from covey.errors import ModelError
from covey.types import BackboneSpec

_FILTERS: Final = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_TOWERS: Final = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}
_BRIGHTEST: Final = 255.0


def is_transformers_folder(folder: Path) -> bool:
    """Tell whether a folder has a configuration of transformers, and not only one of timm or OpenCLIP."""
    return "model_type" in read_json(folder / "config.json", missing={})


def read_config(folder: Path, where: str) -> Any:
    """Read the configuration of the library from a folder.

    Raises
    ------
    ModelError
        If it is missing, broken or of a kind that covey cannot use.
    """
    from transformers import AutoConfig

    from covey.backbones._transformers._modules import quiet

    kind = read_json(folder / "config.json").get("model_type", "none")
    if kind not in ARCHITECTURES and kind in _TOWERS:
        raise ModelError(f"{where} holds an image tower alone; covey needs the whole {_TOWERS[kind]} model.")
    find_architecture(kind, where)
    try:
        with quiet():
            return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (*LOADING_ERRORS, RecursionError, TypeError) as error:
        raise ModelError(f"The config.json of {where} cannot be used: {explain_loading(error)}") from error


def check_config(config: Any, spec: BackboneSpec, folder: Path) -> None:
    """Refuse a folder that holds another model than the catalog's row: the kind and all whole numbers must agree.

    Raises
    ------
    ModelError
        Naming the first few that differ.
    """
    differences = list(_differences(config, spec.config))
    if config.model_type != spec.architecture:
        differences.insert(0, f"it is a {config.model_type}, not a {spec.architecture}")
    if differences:
        raise ModelError(f"{str(folder)!r} does not hold {spec.name}: {'; '.join(differences[:3])}.")


def _differences(config: Any, wanted: Mapping[str, Any]) -> list[str]:
    """Compare whole numbers, and lists of them; what has a decimal point differs between releases of one model."""
    found = []
    for key, value in wanted.items():
        have = getattr(config, key, None)
        if isinstance(value, Mapping):
            found += _differences(have, value)
        elif isinstance(value, int | list) and not isinstance(value, bool) and have != value:
            found.append(f"{key} is {have}, not {value}")
    return found


def read_spec(folder: Path) -> BackboneSpec:
    """Describe the model of a folder.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``preprocessor_config.json`` and weights, as transformers saves them.

    Returns
    -------
    spec : BackboneSpec
        Named after the folder. Pooling is what is usual for the architecture.

    Raises
    ------
    ModelError
        If a file is missing, half there, or says something that covey cannot do.
    """
    if not folder.is_dir():
        raise ModelError(f"There is no folder {str(folder)!r}, and no backbone of that name: see covey models list.")
    check_weights(weight_files(folder))
    config = read_config(folder, str(folder))
    architecture = ARCHITECTURES[config.model_type]
    preprocessing = _read_preprocessing(folder)
    n_features = _n_features(config)
    return BackboneSpec(
        name=folder.resolve().name,
        loader="transformers",
        n_features=n_features,
        weights="folder",
        sha256=hash_model(folder),
        license="unknown",
        pretraining="unknown",
        has_text=bool(architecture.text),
        pooling=architecture.pooling,
        architecture=config.model_type,
        **preprocessing,
    )


def _n_features(config: Any) -> int:
    """Tell how wide a row will be."""
    if hasattr(config, "projection_dim"):
        return int(config.projection_dim)
    tower = getattr(config, "vision_config", config)
    widths = getattr(tower, "hidden_sizes", None)
    return int(widths[-1] if widths else tower.hidden_size)


def _read_preprocessing(folder: Path) -> dict[str, Any]:
    """Read what is done to images, as keywords of `BackboneSpec`."""
    path = folder / "preprocessor_config.json"
    recorded = read_json(path)
    try:
        size = _size(recorded.get("size", 224))
        crop = _size(recorded["crop_size"]) if recorded.get("do_center_crop") and "crop_size" in recorded else None
        mean, std = ([_BRIGHTEST * float(x) for x in recorded[key]] for key in ("image_mean", "image_std"))
        shape, fraction, is_squashed = _geometry(size, crop, recorded.get("crop_pct"))
        interpolation = _FILTERS[recorded.get("resample", 2)]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{str(path)!r} does not say how images are prepared: {error!r}.") from error
    return {
        "input_size": shape,
        "crop_fraction": fraction,
        "is_squashed": is_squashed,
        "interpolation": interpolation,
        "mean": tuple(mean),
        "std": tuple(std),
    }


def _size(recorded: Any) -> tuple[int, int] | int:
    """Read a size: height and width, or one number for the shorter side."""
    if isinstance(recorded, int):
        return recorded
    if "shortest_edge" in recorded:
        return int(recorded["shortest_edge"])
    return int(recorded["height"]), int(recorded["width"])


def _geometry(
    size: tuple[int, int] | int, crop: tuple[int, int] | int | None, crop_pct: float | None
) -> tuple[tuple[int, int], float, bool]:
    """Turn the library's resize and crop into input size, the share that the crop keeps, and whether shapes change."""
    if crop is not None:
        shape = (crop, crop) if isinstance(crop, int) else crop
        shorter = size if isinstance(size, int) else min(size)
        return shape, min(shape) / shorter, not isinstance(size, int)
    if isinstance(size, int):
        # ConvNeXt's: the side is divided by the share that is kept, except for large images.
        is_small = crop_pct is not None and size < 384
        return (size, size), float(crop_pct or 1) if is_small else 1.0, not is_small
    return size, 1.0, True


def read_json(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a JSON file that must be a mapping.

    Raises
    ------
    ModelError
        If it is not there (unless `missing` says what then), or is not such a file.
    """
    if missing is not None and not path.is_file():
        return missing
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{str(path.parent)!r} has no {path.name}, so it does not hold a model of transformers whole. Copy every "
            "file of the model; `covey models import NAME FILE` takes weights alone, for a model of the catalog."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{str(path)!r} holds no mapping.")
    return content
