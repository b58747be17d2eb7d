"""The feature sets that benchmarks of clusterers use: real features with labels, split into rows to fit and to score.

`load_set` computes what a backbone has to compute with covey itself, once, and keeps it in a folder. CIFAR-10 has its
own split (20,000 of the training images; all test images); the others are split at random with a fixed seed. Labels
are for scores alone: nothing here or in a method sees them before.
"""

import os
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

DATA = Path(os.environ.get("COVEY_DATA", Path(__file__).parents[2] / "shared" / "data"))
CACHE = Path(os.environ.get("COVEY_BENCHMARK_CACHE", Path(__file__).parents[1] / "build" / "benchmarks"))
LITE0, LITE2 = "efficientnet_lite0.in1k", "efficientnet_lite2.in1k"

_ARCHIVES = {
    "imagenette": "imagenette-val.tar",
    "cifar10-train": "cifar10-train20k.tar",
    "cifar10-test": "cifar10-test.tar",
}
_TABLES = {"moco50": "moco-imagenet50-val", "umap-usps": "umap-usps", "umap-mnist": "umap-mnist"}
_SHARE_TO_FIT = 0.8
_N_VIEWS = 4


class FeatureSet(NamedTuple):
    """Features and labels, of the rows to fit and of the rows to score; views (n, n_views, d) of the rows to fit."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    views: np.ndarray | None = None


NAMES = ("imagenette", "imagenette-views", "cifar10", "imagenette-mix", "cifar10-mix", *_TABLES, "digits")


def load_set(name: str) -> FeatureSet:
    """Load a set by its name in `NAMES`.

    ``-mix`` concatenates the unit rows of two backbones, ``-views`` adds four augmented copies of the rows to fit.
    """
    backbones = (LITE2, LITE0) if name.endswith("-mix") else (LITE2,)
    if name.startswith("cifar10"):
        parts = [embed(f"cifar10-{split}", backbones) for split in ("train", "test")]
        return FeatureSet(*parts[0], *parts[1])
    if name.startswith("imagenette"):
        rows = split_rows(*embed("imagenette", backbones), share=0.5)
        if not name.endswith("-views"):
            return rows
        views = embed_views("imagenette", LITE2)
        return rows._replace(views=views[_order(len(views))[: len(rows.X)]].astype(np.float32))
    if name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        return split_rows(X.astype(np.float32), y, share=_SHARE_TO_FIT)
    from safetensors.numpy import load_file

    table = load_file(DATA / f"{_TABLES[name]}.safetensors")
    return split_rows(table["X"], table["y"].astype(np.int64), share=_SHARE_TO_FIT)


def split_rows(X: np.ndarray, y: np.ndarray, *, share: float) -> FeatureSet:
    """Split rows at random, with a fixed seed and without a look at the labels."""
    fit, score = np.split(_order(len(X)), [round(share * len(X))])
    return FeatureSet(X[fit], y[fit], X[score], y[score])


def _order(n_rows: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(n_rows)


def embed(pictures: str, backbones: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels (the folders' names) of an archive's pictures."""
    parts = [_embed_once(pictures, backbone) for backbone in backbones]
    y = parts[0][1]
    if len(parts) == 1:
        return parts[0]
    return np.hstack([X / np.linalg.norm(X, axis=1, keepdims=True) for X, _ in parts]), y


def embed_views(pictures: str, backbone: str) -> np.ndarray:
    """Return the features of four augmented copies of an archive's pictures, (n, 4, d) float16."""
    path = CACHE / f"{pictures}-{backbone}-views{_N_VIEWS}.npy"
    if not path.exists():
        from covey.backbones import load_backbone
        from covey.extract import load_views
        from covey.pipeline import embed_folder
        from covey.store import Project

        folder, project = _unpack(pictures), CACHE / f"{pictures}.covey"
        features, _, _ = embed_folder([folder], project, backbone=backbone, n_views=_N_VIEWS)
        with Project.open(project) as opened:
            views = load_views(opened.features, load_backbone(backbone).fingerprint, features.ids, n_views=_N_VIEWS)
        np.save(path, views.astype(np.float16))
    return np.load(path, mmap_mode="r")


def _embed_once(pictures: str, backbone: str) -> tuple[np.ndarray, np.ndarray]:
    path = CACHE / f"{pictures}-{backbone}.npz"
    if not path.exists():
        from covey.pipeline import embed_folder
        from covey.store import Project

        folder, project = _unpack(pictures), CACHE / f"{pictures}.covey"
        features, _, _ = embed_folder([folder], project, backbone=backbone)
        with Project.open(project) as opened:
            names = {record.id: record.path.parent.name for record in opened.records()}
        classes, y = np.unique([names[image_id] for image_id in features.ids], return_inverse=True)
        np.savez(path, X=features.X, y=y, classes=classes)
    with np.load(path) as file:
        return file["X"], file["y"]


def _unpack(pictures: str) -> Path:
    folder = CACHE / pictures
    if not folder.exists():
        with tarfile.open(DATA / _ARCHIVES[pictures]) as archive:
            archive.extractall(folder, filter="data")
    return folder
