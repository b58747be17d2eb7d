"""k-means of many overlapping subsamples at once: one product finds the nearest centers of all of them.

Every run sees all rows and counts those of its own subsample alone, so the rows that a run leaves out get the label of
their nearest center on the way. Starts are those of `covey.cluster.KMeans`. The iterations are plain ones, without its
bounds and its exact decisions, which a partition that is judged once does not need: `covey.cluster._kmeans.kmeans` on
one subsample after the other took 1.5 to 5.7 times as long (1,000 to 2,500 rows, 5 to 140 clusters).
"""

import numpy as np
import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.cluster._kmeans import plus_plus
from covey.cluster._lloyd import Points

_BLOCK_ENTRIES = 2**19  # of scores held at once: 2 MB, which stay in a CPU's cache
_MAX_ITER = 60
_N_SHORT = 4
_STAYING = 0.999


def subsampled_kmeans(X: Tensor, inside: Tensor, n_clusters: int, *, n_init: int, seed: int) -> Tensor:
    """Cluster subsamples of the same rows.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Rows; center them, so that products and their errors are small.
    inside : Tensor of shape (n_subsamples, n), dtype bool
        Which rows each subsample holds, `n_clusters` at least.
    n_clusters : int
        Number of clusters, k.
    n_init : int
        Starts of each subsample. They are compared after four iterations, and the one of the smallest inertia goes on.
    seed : int
        Decides the starts.

    Returns
    -------
    labels : Tensor of shape (n_subsamples, n), dtype int64
        The nearest center of every row, of those outside too.

    Notes
    -----
    Lloyd's iterations from greedy k-means++ starts, in float32, until fewer than a thousandth of a subsample's rows
    move: partitions to be judged, not to be kept. A cluster that loses all its rows stays where it was, and then fewer
    than k are in use. benchmarks/n_clusters.py records the time beside that of `covey.cluster.KMeans`, a fit at a time.
    """
    # Starts of all runs, (starts, k, d).
    drawing = inside.repeat_interleave(n_init, dim=0)  # (starts, n)
    seeds = np.random.default_rng(seed).integers(2**62, size=len(drawing)).tolist()
    centers = X[plus_plus(Points.prepare(X, torch.float32), n_clusters, seeds, drawing).indices]
    if n_init > 1:
        # A few iterations of all, then the start of smallest inertia of each subsample.
        weights = drawing.float()
        for _ in range(_N_SHORT):
            centers = _means(X, _nearest(X, centers)[0], weights, centers)
        inertia = (_nearest(X, centers)[1] * weights).sum(dim=1, dtype=torch.float64)
        centers = centers[inertia.view(-1, n_init).argmin(dim=1) + n_init * torch.arange(len(inside))]
    return _finish(X, inside, centers)


def _finish(X: Tensor, inside: Tensor, centers: Tensor) -> Tensor:
    """Iterate from centers (subsamples, k, d) until labels stay; return them, (subsamples, n)."""
    weights, sizes = inside.float(), inside.sum(dim=1)
    active, labels = torch.arange(len(inside)), torch.full(inside.shape, -1)
    for _ in range(_MAX_ITER):
        # Assignment (active, n), then the update of the runs in which rows still move.
        found, _ = _nearest(X, centers[active])
        n_staying = ((found == labels[active]) & inside[active]).sum(dim=1)
        labels[active] = found
        active = active[n_staying < _STAYING * sizes[active]]
        if len(active) == 0:
            break
        centers[active] = _means(X, labels[active], weights[active], centers[active])
    return labels


def _nearest(X: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest of each run's centers (runs, k, d) and the squared distance to it, both (runs, n)."""
    n_runs, k, d = centers.shape
    flat = centers.reshape(-1, d)
    bias = flat.square().sum(dim=1) / -2
    labels = torch.empty((n_runs, len(X)), dtype=torch.int64)
    squares = torch.empty((n_runs, len(X)))
    for rows in iter_chunks(len(X), max(1, _BLOCK_ENTRIES // len(flat))):
        scores = torch.addmm(bias, X[rows], flat.T).view(-1, n_runs, k)
        best = scores.max(dim=2)
        labels[:, rows] = best.indices.T
        squares[:, rows] = (X[rows].square().sum(dim=1)[:, None] - 2 * best.values).T
    return labels, squares.clamp_(min=0)


def _means(X: Tensor, labels: Tensor, weights: Tensor, centers: Tensor) -> Tensor:
    """Return the means (runs, k, d) of each run's clusters; one without rows stays."""
    n_runs, k, d = centers.shape
    places = (labels + k * torch.arange(n_runs)[:, None]).flatten()
    counts = torch.zeros(n_runs * k).index_add_(0, places, weights.flatten()).view(n_runs, k, 1)
    weighted = (X * weights[:, :, None]).view(-1, d)
    sums = torch.zeros((n_runs * k, d)).index_add_(0, places, weighted).view(n_runs, k, d)
    return torch.where(counts > 0, sums / counts.clamp(min=1), centers)
