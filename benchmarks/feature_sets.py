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


class FeatureSet(NamedTuple):
    """Features and labels, of the rows to fit and of the rows to score."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


NAMES = ("imagenette", "cifar10", "imagenette-mix", "cifar10-mix", *_TABLES, "digits")


def load_set(name: str) -> FeatureSet:
    """Load a set by its name in `NAMES`; ``-mix`` concatenates the unit rows of two backbones."""
    backbones = (LITE2, LITE0) if name.endswith("-mix") else (LITE2,)
    if name.startswith("cifar10"):
        parts = [embed(f"cifar10-{split}", backbones) for split in ("train", "test")]
        return FeatureSet(*parts[0], *parts[1])
    if name.startswith("imagenette"):
        return split_rows(*embed("imagenette", backbones), share=0.5)
    if name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        return split_rows(X.astype(np.float32), y, share=_SHARE_TO_FIT)
    from safetensors.numpy import load_file

    table = load_file(DATA / f"{_TABLES[name]}.safetensors")
    return split_rows(table["X"], table["y"].astype(np.int64), share=_SHARE_TO_FIT)


def split_rows(X: np.ndarray, y: np.ndarray, *, share: float) -> FeatureSet:
    """Split rows at random, with a fixed seed and without a look at the labels."""
    order = np.random.default_rng(0).permutation(len(X))
    fit, score = np.split(order, [round(share * len(X))])
    return FeatureSet(X[fit], y[fit], X[score], y[score])


def embed(pictures: str, backbones: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels (the folders' names) of an archive's pictures."""
    parts = [_embed_once(pictures, backbone) for backbone in backbones]
    y = parts[0][1]
    if len(parts) == 1:
        return parts[0]
    return np.hstack([X / np.linalg.norm(X, axis=1, keepdims=True) for X, _ in parts]), y


def _embed_once(pictures: str, backbone: str) -> tuple[np.ndarray, np.ndarray]:
    path = CACHE / f"{pictures}-{backbone}.npz"
    if not path.exists():
        from covey.pipeline import embed_folder
        from covey.store import Project

        folder, project = CACHE / pictures, CACHE / f"{pictures}.covey"
        if not folder.exists():
            with tarfile.open(DATA / _ARCHIVES[pictures]) as archive:
                archive.extractall(folder, filter="data")
        features, _, _ = embed_folder([folder], project, backbone=backbone)
        with Project.open(project) as opened:
            names = {record.id: record.path.parent.name for record in opened.records()}
        classes, y = np.unique([names[image_id] for image_id in features.ids], return_inverse=True)
        np.savez(path, X=features.X, y=y, classes=classes)
    with np.load(path) as file:
        return file["X"], file["y"]
