"""What a trained network says: features, labels, and how well it was trained."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from covey._torch import resolve_device, to_numpy
from covey.cluster._mmdc._pictures import Pictures, Views
from covey.cluster._mmdc._training import EpochLosses
from covey.metrics import cluster_size_kl
from covey.nn import PictureNet
from covey.types import ByteArray, FloatArray, IntArray

_ENCODE_ROWS = 64
_GUESSING = 0.95  # of the loss of one answer for all


class Encoder:
    """A trained network that stands still.

    Parameters
    ----------
    network : PictureNet
        Of which a copy is kept, on the CPU, that computes in float32.
    views : Views
        How it sees a picture.
    """

    def __init__(self, network: PictureNet, views: Views) -> None:
        self.network = copy.deepcopy(network).cpu().eval()
        self.network.compute_dtype = torch.float32
        self.network.zero_grad(set_to_none=True)
        self.views = views

    def features(self, pixels: ByteArray, device: str) -> FloatArray:
        """Return the penultimate layer (n, n_features) for pictures (n, h, w) or (n, h, w, 3)."""
        return np.concatenate([*self._chunks(lambda network, x: network.features(x), pixels, device)])

    def outputs(self, pixels: ByteArray, device: str) -> FloatArray:
        """Return the points on the sphere (n, d)."""
        return np.concatenate([*self._chunks(lambda network, x: network(x), pixels, device)])

    def _chunks(
        self, function: Callable[[PictureNet, Tensor], Tensor], pixels: ByteArray, device: str
    ) -> Iterator[NDArray[Any]]:
        """Yield what a function of the network and of centre crops gives, a chunk of pictures after another.

        All chunks have the same size, the last one filled up, so that a picture's answer does not hang on the ones
        beside it.
        """
        place = resolve_device(device)
        network, pictures = copy.deepcopy(self.network).to(place), Pictures(pixels, place)
        for rows, x in pictures.in_order(_ENCODE_ROWS):
            filled = torch.cat([x, x.new_zeros(_ENCODE_ROWS - len(rows), *x.shape[1:])])
            with torch.no_grad():
                yield to_numpy(function(network, self.views.anchor(filled))[: len(rows)])


def nearest(rows: FloatArray, centers: FloatArray) -> IntArray:
    """Return the nearest center of each row, (n,); eq. 3 of the paper."""
    return np.asarray(cdist(rows, centers).argmin(axis=1), dtype=np.int64)


def describe(labels: IntArray, n_clusters: int, last: EpochLosses) -> dict[str, Any]:
    """Gather what labels (n,) and the last epoch tell of a training, JSON-compatible."""
    return {
        **{name: None if math.isnan(value) else value for name, value in last._asdict().items()},
        "n_empty_clusters": n_clusters - len(np.unique(labels)),
        "kl_to_uniform": cluster_size_kl(labels, n_clusters=n_clusters),
    }


def warn_if_failed(diagnostics: dict[str, Any], n_clusters: int, loss_of_a_guess: float) -> None:
    """Warn if clusters stayed empty, or if one answer for all pictures would be about as near to their targets."""
    n_empty, loss = diagnostics["n_empty_clusters"], diagnostics["cluster_loss"]
    if loss is not None and n_clusters > 1 and loss > _GUESSING * loss_of_a_guess:
        problem = (
            f"The outputs are hardly nearer to their targets (loss {loss:.4f}) than one answer for all "
            f"({loss_of_a_guess:.4f}) would be. Train longer (n_epochs), or with another learning_rate."
        )
    elif n_empty:
        problem = (
            f"{n_empty} of {n_clusters} clusters are empty, so only {n_clusters - n_empty} were found. Train longer "
            "(n_epochs), refine later (refine_at), or ask for fewer clusters."
        )
    else:
        return
    warnings.warn(problem, ConvergenceWarning, stacklevel=4)
