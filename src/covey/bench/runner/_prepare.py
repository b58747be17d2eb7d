"""Rows made ready once: features, pixels and labels of an experiment as arrays on disk that every seed maps."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from covey._files import atomic_write
from covey.backbones import load_backbone
from covey.bench._experiment import PIXELS, RowsSpec, digest_of
from covey.bench.datasets import DATASETS, Dataset, Split, cache_folder, find, make_variant
from covey.errors import DatasetError
from covey.images import decode_size, preprocess, read_image
from covey.pipeline import embed_folder, load_backbones, load_features
from covey.store import Project
from covey.types import BackboneSpec, ByteArray, FloatArray, IntArray

_FACTS: Final = "facts.json"


class Arrays(NamedTuple):
    """What a fit gets and what its scores need, mapped from disk.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, d), dtype float32, or (n, h, w, 3), dtype uint8
        Rows to fit and rows to score.
    y, y_test : ndarray of shape (n,), dtype int64
        Their classes.
    views : ndarray of shape (n, n_views, d), dtype float32, or None
        Features of augmented copies of the rows to fit.
    """

    X: Any
    y: IntArray
    X_test: Any
    y_test: IntArray
    views: FloatArray | None


def prepare_rows(rows: RowsSpec, data: Path) -> dict[str, Any]:
    """Bring the rows of an experiment into the cache, unless they are there.

    Parameters
    ----------
    rows : RowsSpec
        Which rows.
    data : Path
        Folder in which data sets have their usual places.

    Returns
    -------
    facts : dict
        ``folder``, ``n_fit``, ``n_score``, ``shape`` of a row, ``n_classes`` and ``sha256`` of all arrays.

    Raises
    ------
    DatasetError
        If the set is not there, or one of its images cannot be read.
    """
    spec = DATASETS[rows.dataset]
    place = find(spec, data, Path(rows.path) if rows.path else None)
    if spec.place and not place.exists():
        raise DatasetError(f"{rows.dataset} was not found at {place}. Expected: {spec.layout}.")
    dataset = make_variant(spec.loader(place), rows.variant)
    fingerprints = [load_backbone(name).fingerprint for name in rows.features if name != PIXELS]
    key = [asdict(rows), fingerprints, [_identity(split) for split in (dataset.train, dataset.test)]]
    folder = cache_folder() / "prepared" / f"{rows.dataset}-{digest_of(key)}"
    if not (folder / _FACTS).is_file():
        _write(folder, rows, dataset)
    facts: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return {**facts, "folder": str(folder)}


def load_arrays(folder: Path) -> Arrays:
    """Map the arrays that `prepare_rows` wrote.

    Parameters
    ----------
    folder : Path
        Its ``folder``.

    Returns
    -------
    arrays : Arrays
        Read-only.
    """

    def load(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    return Arrays(load("X"), load("y"), load("X_test"), load("y_test"), load("views"))


def _write(folder: Path, rows: RowsSpec, dataset: Dataset) -> None:
    """Compute and write everything; the folder appears whole."""
    arrays = {
        "X": _make_rows(dataset.train, rows),
        "y": dataset.train.y,
        "X_test": _make_rows(dataset.test, rows),
        "y_test": dataset.test.y,
    }
    if rows.n_views:
        arrays["views"] = _embed(dataset.train, rows.features, rows.n_views)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    temporary.mkdir(parents=True)
    digest = hashlib.sha256()
    for name, array in arrays.items():
        np.save(temporary / f"{name}.npy", array)
        digest.update(np.ascontiguousarray(array).data)
    facts = {
        "n_fit": len(dataset.train.y),
        "n_score": len(dataset.test.y),
        "shape": list(arrays["X"].shape[1:]),
        "n_classes": len(dataset.classes),
        "class_sizes": np.bincount(dataset.train.y, minlength=len(dataset.classes)).tolist(),
        "sha256": digest.hexdigest(),
    }
    (temporary / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
    if folder.exists():  # of a run that died before its facts
        shutil.rmtree(folder)
    temporary.replace(folder)


def _identity(split: Split) -> str:
    """Return a hash of what a split holds; of files by their places, sizes and times."""
    digest = hashlib.sha256(split.y.tobytes())
    for path in split.paths or ():
        stat = path.stat()
        digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    for array in (split.pixels, split.features):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _make_rows(split: Split, rows: RowsSpec) -> Any:
    """Return what a method is to get: features (n, d) float32, or pixels (n, h, w, 3) uint8."""
    if split.features is not None:
        return split.features
    if rows.features == (PIXELS,):
        return _pack(split, rows.image_size_px)
    return _embed(split, rows.features, 0)


def _pack(split: Split, side_px: int) -> ByteArray:
    """Bring every image to a square: the shorter side is resized to it and the center cut out (bicubic)."""
    if split.pixels is not None and split.pixels.shape[1:3] == (side_px, side_px):
        return split.pixels
    spec = BackboneSpec(PIXELS, "", 0, (side_px, side_px), 1.0, "bicubic", mean=(0, 0, 0), std=(1, 1, 1), weights="")
    size = decode_size(spec)
    packed = np.empty((len(split.y), side_px, side_px, 3), dtype=np.uint8)
    for row, path in enumerate(_as_files(split)):
        packed[row] = preprocess(read_image(path, min_size=size), spec)
    return packed


def _embed(split: Split, backbones: Sequence[str], n_views: int) -> FloatArray:
    """Return features (n, d), or with views (n, n_views, d), computed by covey and kept in a project in the cache."""
    paths = _as_files(split)
    project = cache_folder() / f"{split.name}.covey"
    embed_folder(sorted({path.parent for path in paths}), project, backbone=list(backbones), n_views=n_views)
    with Project.open(project) as opened:
        features = load_features(opened, load_backbones(list(backbones), device="auto"), n_views=n_views)
    row_of = {image_id: row for row, image_id in enumerate(features.ids)}
    found = [row_of.get(hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    unread = [path for path, row in zip(paths, found, strict=True) if row is None]
    if unread:
        raise DatasetError(
            f"{len(unread)} of {len(paths)} images of {split.name} could not be read, the first is {unread[0]}; "
            f"mend or remove them: numbers on other rows than the set's are not its numbers."
        )
    source = features.views if n_views else features.X
    return np.asarray(source)[np.array(found, dtype=np.int64)]


def _as_files(split: Split) -> tuple[Path, ...]:
    """Return the images as files; what is in memory is written to the cache as PNG, once."""
    if split.paths is not None:
        return split.paths
    from PIL import Image  # noqa: PLC0415 - for sets that come as arrays alone

    if split.pixels is None:
        raise DatasetError(f"{split.name} comes as features; it has no images.")
    folder = cache_folder() / f"{split.name}-{_identity(split)[:12]}"
    paths = tuple(folder / f"{row // 1000:04d}" / f"{row:06d}.png" for row in range(len(split.y)))
    for path, pixels in zip(paths, split.pixels, strict=True):
        if not path.exists():
            with atomic_write(path, is_durable=False) as temporary:
                Image.fromarray(pixels).save(temporary, format="PNG")
    return paths
