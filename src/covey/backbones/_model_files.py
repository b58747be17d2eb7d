"""Models on this machine: where they lie, whether they are whole, and how they get here.

Nothing here connects to another machine but `download_model`, which is called when a person asks for that. Torch is not
imported, so that a list of models takes no time.
"""

import hashlib
import json
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from covey.errors import InvalidValueError, ModelError
from covey.registry import require
from covey.types import BackboneSpec

_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE: Final = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin", ".tar")
_POINTER: Final = b"version https://git-lfs"
_KEPT: Final = ("*.json", "*.txt", "*.model", "*.safetensors")
_KEPT_PICKLED: Final = ("*.json", "*.txt", "*.model", "*.bin")
_CHUNK: Final = 1 << 24


def models_folder() -> Path:
    """Return the folder of models that were downloaded or taken in.

    ``$COVEY_MODELS`` if it is set, else ``covey/models`` in the user's folder for data.
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
    return _locate_in_cache(rest, spec.revision or "main") if source == "hub" else None


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
        raise ModelError(
            f"The weights of {spec.name} are not on this machine. `covey models download {spec.name}` fetches "
            f"{source_address(spec)}; `covey models import {spec.name} PATH` takes in a copy that you have."
        )
    return found


def source_address(spec: BackboneSpec) -> str:
    """Say where a model comes from, as a person would look it up."""
    source, _, rest = spec.weights.partition(":")
    return f"{rest} of the Hugging Face hub" if source == "hub" else rest or spec.weights


def weight_files(path: Path) -> list[Path]:
    """List the files that hold a model's weights.

    Parameters
    ----------
    path : Path
        A file, or a folder: safetensors are preferred.

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
    for name in (_INDEXES[0], _WHOLE[0], _INDEXES[1], *_WHOLE[1:]):
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
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{str(index)!r} is no index of weights: {error!r}") from error
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
        with file.open("rb") as opened:
            (n_header,) = struct.unpack("<Q", opened.read(8))
            if n_header > n_bytes:
                raise ValueError("the header is cut off")
            header = json.loads(opened.read(n_header))
        n_wanted = 8 + n_header + max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(file)!r} ({n_bytes} bytes) is no safetensors file, or cut off: {error}") from error
    if n_bytes != n_wanted:
        raise ModelError(f"{str(file)!r} has {n_bytes} bytes of {n_wanted}: damaged or only half downloaded.")


def hash_model(path: Path) -> str:
    """Hash what decides a model's numbers.

    Parameters
    ----------
    path : Path
        A file or a folder.

    Returns
    -------
    sha256 : str
        Of the weights, and of ``config.json`` where there is one; names and dates do not count.
    """
    digests = []
    for file in [path / "config.json", *weight_files(path)] if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


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
    files = weight_files(source)
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
        If it cannot be fetched; many licences must be accepted on the hub first.
    """
    check_is_fetched(spec)
    source, _, rest = spec.weights.partition(":")
    try:
        if source == "hub":
            return _download_from_hub(rest, spec.revision or None, folder)
        from urllib.request import urlopen  # noqa: PLC0415 - not needed by anything else here

        target = folder / Path(rest).name
        with urlopen(rest) as answer, target.open("wb") as file:  # noqa: S310 - https addresses of the catalogue alone
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError) as error:  # what the hub's client raises is an OSError
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{spec.name} could not be fetched from {source_address(spec)}: {reason}") from error
    return target


def _download_from_hub(repository: str, revision: str | None, folder: Path) -> Path:
    """Fetch a repository's safetensors, or its pickled weights where it has no others."""
    hub: Any = require("huggingface_hub", extra="transformers", for_="covey models download")
    words = {"repo_id": repository, "revision": revision, "local_dir": folder}
    hub.snapshot_download(**words, allow_patterns=list(_KEPT))
    if not list(folder.glob("*.safetensors")):
        hub.snapshot_download(**words, allow_patterns=list(_KEPT_PICKLED))
    return folder


def check_is_fetched(spec: BackboneSpec) -> None:
    """Refuse to download or import what comes with the installation."""
    if spec.weights.partition(":")[0] not in ("hub", "file"):
        raise InvalidValueError(
            f"{spec.name} needs no download: its weights come with the installation, or it has none."
        )


def _locate_in_package(weights: str) -> Path | None:
    """Find the file of an installed package by ``package==version:path``; the package's own code is never run."""
    requirement, colon, inner = weights.partition(":")
    if not colon:
        return None
    try:
        return Path(str(distribution(requirement.partition("==")[0]).locate_file(inner)))
    except PackageNotFoundError:
        return None


def _locate_in_cache(repository: str, revision: str) -> Path | None:
    """Find a whole snapshot in the cache that the hub's own client keeps; the client is not needed."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = cache / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / revision
    try:
        commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
        snapshot = folder / "snapshots" / commit
        weight_files(snapshot)
    except (OSError, ModelError):
        return None
    return snapshot
