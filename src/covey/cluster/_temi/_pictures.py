"""The pictures that a backbone is fine-tuned on: their checks, batches of them, and their features."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from covey._arrays import iter_chunks
from covey._torch import to_numpy
from covey.cluster._checks import check_real
from covey.cluster._temi._estimator import TEMI
from covey.types import ByteArray, FloatArray

_ENCODE_ROWS = 128
_LEAST_AGREEMENT = 0.5


class Pictures(NamedTuple):
    """Pixels, and what is done to them before a backbone sees them.

    Attributes
    ----------
    pixels : ndarray of shape (n, height, width, 3), dtype uint8
        May be a memory map.
    mean, std : tuple of float
        For the three channels, on the scale of the pixels.
    device : torch.device
        Where the backbone is.
    """

    pixels: ByteArray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device

    @classmethod
    def check(cls, pixels: Any, mean: Sequence[float], std: Sequence[float], device: torch.device) -> "Pictures":
        """Make them of what a caller gave."""
        pictures = cls(_check_pixels(pixels), tuple(map(float, mean)), tuple(map(float, std)), device)
        for name, values in (("mean", pictures.mean), ("std", pictures.std)):
            if len(values) != 3:
                raise ValueError(f"{name} has {len(values)} numbers; it must have three, one for each channel.")
        for value in pictures.std:
            check_real("Each of std", value, open_low=True)
        return pictures

    def take(self, rows: Any) -> Tensor:
        """Return some pictures as the backbone takes them, (b, 3, height, width) float32, channels last in memory."""
        x = torch.from_numpy(np.array(self.pixels[rows])).to(self.device).float()
        x = (x - torch.tensor(self.mean, device=self.device)) / torch.tensor(self.std, device=self.device)
        return x.permute(0, 3, 1, 2)


@torch.no_grad()
def encode(backbone: nn.Module, pictures: Pictures) -> FloatArray:
    """Return the features (n, n_features) of a backbone that is on the pictures' device."""
    chunks = [backbone(pictures.take(rows)) for rows in iter_chunks(len(pictures.pixels), _ENCODE_ROWS)]
    if not isinstance(chunks[0], Tensor) or chunks[0].ndim != 2:
        what = tuple(chunks[0].shape) if isinstance(chunks[0], Tensor) else type(chunks[0]).__name__
        raise ValueError(f"The backbone gave {what} for the first pictures; it must give features (b, n_features).")
    return np.concatenate([to_numpy(chunk.float()) for chunk in chunks])


def check_matches(temi: TEMI, X: FloatArray) -> None:
    """Raise unless features (n, n_features) are, but for rounding, the ones that `temi` was fitted on."""
    if X.shape[1] != temi.n_features_in_:
        raise ValueError(
            f"The backbone gives {X.shape[1]} features, temi was fitted on {temi.n_features_in_}; it must be the "
            "backbone that temi's features come from."
        )
    agreement = float((temi.predict(X) == temi.labels_).mean())
    if agreement < _LEAST_AGREEMENT:
        raise ValueError(
            f"temi gives only {agreement:.0%} of the pictures the label that it gave when it was fitted; the backbone, "
            "the pictures and their order, size, mean and std must be those that its features come from."
        )


def _check_pixels(pixels: Any) -> ByteArray:
    """Return pixels (n, height, width, 3) uint8."""
    array = np.asarray(pixels)
    if array.dtype != np.uint8:
        raise TypeError(f"pixels has dtype {array.dtype}; pictures must be uint8, from 0 to 255.")
    if array.ndim != 4 or array.shape[3] != 3 or array.size == 0:
        raise ValueError(f"pixels has shape {array.shape}; it must be (n, height, width, 3).")
    return array
