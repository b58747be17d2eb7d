"""Labels for many numbers of clusters from one membership: its eigenvectors are nested, the first k for k clusters."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from covey._arrays import iter_chunks, l2_normalize
from covey._torch import resolve_float64_device, to_numpy, to_tensor
from covey.cluster._checks import check_n_clusters
from covey.cluster._cpp._estimator import CPP
from covey.cluster._kmeans import KMeans
from covey.types import FloatArray, IntArray

_BLOCK_ENTRIES = 2**22


def nested_labels(cpp: CPP, candidates: Sequence[int]) -> Iterator[IntArray]:
    """Label the training rows with each of several numbers of clusters.

    Parameters
    ----------
    cpp : CPP
        Fitted; it is not changed.
    candidates : sequence of int
        Numbers of clusters, each from 1 to n_samples.

    Yields
    ------
    labels : ndarray of shape (n_samples,), dtype int64
        In the order of `candidates`; what ``cpp.relabel(k).labels_`` would be but for rounding. Fewer than k are in
        use where fewer rows differ.

    Raises
    ------
    NotFittedError
        If `cpp` is not fitted.
    ValueError
        If a number is out of range.

    Notes
    -----
    The eigenvectors are those of the fit, and all rows are mapped to them once: O(n m (d + max k)) time for m
    landmarks, and then k-means alone for each candidate.
    """
    check_is_fitted(cpp)
    for n_clusters in candidates:
        check_n_clusters(n_clusters, len(cpp.code_))
    coordinates = _spectral_rows(cpp, max(candidates))
    for n_clusters in candidates:
        kmeans = KMeans(n_clusters, spherical=True, device=cpp.device, random_state=cpp._spectrum.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # too few distinct rows: what is made of them says so
            yield kmeans.fit_predict(l2_normalize(coordinates[:, :n_clusters]))


def _spectral_rows(cpp: CPP, n_axes: int) -> FloatArray:
    """Return the first eigenvectors (n, n_axes), rows not yet of unit length."""
    device = resolve_float64_device(cpp.device)
    landmarks = cpp._spectrum.landmarks.to(device)
    axes = cpp._spectrum.axes[:, :n_axes].to(device, torch.float32)
    chunks = iter_chunks(len(cpp.code_), max(1, _BLOCK_ENTRIES // len(axes)))
    return np.concatenate([to_numpy(landmarks.membership(to_tensor(cpp.code_[c], device)) @ axes) for c in chunks])
