"""How models get here: taken in from a folder, or fetched because a person asked for it."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from covey.backbones._loading import load_backbone
from covey.backbones._model_files import check_weights, models_folder, source_address, weight_files
from covey.backbones._registry import BACKBONES
from covey.errors import InvalidValueError, ModelError
from covey.types import BackboneSpec

_BESIDE: Final = ("*.json", "*.txt", "*.model")
_WEIGHTS: Final = ("model*.safetensors", "pytorch_model*.bin")
_OPEN_CLIP_WEIGHTS: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def take_in_model(name: str, source: Path) -> Path:
    """Check a model by loading it, and copy it to where it will be found under its name.

    Parameters
    ----------
    name : str
        A name of `BACKBONES`, of a row whose weights do not come with covey.
    source : Path
        A folder in the layout of its library, or a file of weights.

    Returns
    -------
    folder : Path
        Within `covey.backbones.models_folder`.

    Raises
    ------
    UnknownNameError
        If there is no such row.
    InvalidValueError
        If it needs no import.
    ModelError
        If `source` is not that model, whole.
    """
    spec: BackboneSpec = BACKBONES[name]
    check_is_fetched(spec)
    load_backbone(name, device="cpu", weights=source, precision="float32", runtime="torch")
    return import_model(spec, source)


def import_model(spec: BackboneSpec, source: Path) -> Path:
    """Take a copy of a model in, under its name.

    Parameters
    ----------
    spec : BackboneSpec
        A row whose weights come from a hub or an address. That `source` holds its model is for the caller to have
        checked, by loading it.
    source : Path
        A folder or a file.

    Returns
    -------
    folder : Path
        In `models_folder`; what was there before under the name is replaced when the copy is whole.

    Raises
    ------
    InvalidValueError
        If the backbone needs no import.
    ModelError
        If the files are not whole or cannot be copied.
    """
    check_is_fetched(spec)
    files = weight_files(source, spec.loader)
    check_weights(files)
    if source.is_dir():
        beside = [file for file in source.iterdir() if file.suffix in (".json", ".txt", ".model") and file.is_file()]
        files = [*beside, *files]
    target = models_folder() / spec.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".taking-in-") as made:
            fresh = Path(made) / spec.name
            fresh.mkdir()
            for file in files:
                shutil.copyfile(file, fresh / file.name)
            if target.exists():
                target.rename(Path(made) / "before")
            fresh.rename(target)
    except OSError as error:
        raise ModelError(f"The model could not be copied to {str(target)!r}: {error}") from error
    return target


def download_model(spec: BackboneSpec, folder: Path) -> Path:
    """Fetch a model from where it was published; the only function that connects to another machine.

    Parameters
    ----------
    spec : BackboneSpec
        A row whose weights come from a hub or an address.
    folder : Path
        Where the files go: an empty folder.

    Returns
    -------
    path : Path
        What `import_model` takes.

    Raises
    ------
    InvalidValueError
        If the backbone needs no download.
    ModelError
        If it cannot be fetched; many licenses must be accepted on the hub first.
    """
    check_is_fetched(spec)
    source, _, rest = spec.weights.partition(":")
    try:
        if source == "hub":
            return _download_from_hub(rest, spec, folder)
        from urllib.request import urlopen

        target = folder / Path(rest).name
        with urlopen(rest) as answer, target.open("wb") as file:  # noqa: S310 - https addresses of the catalog alone
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError) as error:  # what the hub's client raises is an OSError
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{spec.name} could not be fetched from {source_address(spec)}: {reason}") from error
    return target


def _download_from_hub(repository: str, spec: BackboneSpec, folder: Path) -> Path:
    """Fetch a repository's safetensors, or its pickled weights where it has no others."""
    import huggingface_hub

    revision = spec.revision or None
    for weights in _OPEN_CLIP_WEIGHTS if spec.loader == "open_clip" else _WEIGHTS:
        kept = [*_BESIDE, weights]
        huggingface_hub.snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=kept)
        if list(folder.glob("*.safetensors")):
            break
    return folder


def check_is_fetched(spec: BackboneSpec) -> None:
    """Refuse to download or import what comes with the installation."""
    if spec.weights.partition(":")[0] not in ("hub", "file"):
        raise InvalidValueError(
            f"{spec.name} needs no download: its weights come with the installation, or it has none."
        )
