"""Where k-means begins: greedy k-means++ for all restarts at once."""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.cluster._kmeans_assign import Points, score_tolerance

_TRIAL_ENTRIES = 2**26
"""Distances held at once; more restarts are drawn one batch after the other."""
_TILE_ENTRIES = 2**18


class Starts(NamedTuple):
    """Where each restart begins.

    Attributes
    ----------
    indices : Tensor of shape (n_seeds, n_clusters), dtype int64
        Rows that were drawn; distinct unless fewer rows differ.
    labels : Tensor of shape (n_seeds, n), dtype int64
        Which of them is nearest to each row, up to the error of the products.
    """

    indices: Tensor
    labels: Tensor


def plus_plus(points: Points, n_clusters: int, seeds: list[int]) -> Starts:
    """Draw rows to start from, one set a restart.

    Parameters
    ----------
    points : Points
        n rows.
    n_clusters : int
        Rows to draw, at most n.
    seeds : list of int
        One a restart; equal seeds draw equal rows.

    Returns
    -------
    starts : Starts
        One a seed.

    Notes
    -----
    k-means++ [1]_ in the greedy form that scikit-learn has: each step draws 2 + log k rows with probability
    proportional to D², the squared distance to the nearest row drawn before, and keeps the one that leaves the
    smallest sum of D². Restarts share one product a step, so three cost about
    a third more than one.

    Products are those of the operand's dtype. What lies below their error counts as zero, so that rows equal to one
    that was drawn are not drawn; if nothing else is left, all is drawn anew with float32 products. A random projection
    to 64 features would be twice as fast and was tried: with one restart it cost 0.2 to 3 % of inertia on five sets,
    since the greedy choice no longer sees which trial lies in the middle of its group.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """
    n_trials = 2 + int(log(n_clusters))
    per_batch = max(1, _TRIAL_ENTRIES // (n_trials * len(points.rows)))
    batches = [seeds[start : start + per_batch] for start in range(0, len(seeds), per_batch)]
    drawn = [_draw_batch(points, n_clusters, n_trials, batch) for batch in batches]
    return Starts(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))


def _draw_batch(points: Points, n_clusters: int, n_trials: int, seeds: list[int]) -> Starts:
    """Draw one set of rows for each seed."""
    (n, _), device = points.rows.shape, points.rows.device
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    restart = torch.arange(len(seeds), device=device)
    indices = torch.empty((len(seeds), n_clusters), dtype=torch.int64, device=device)
    indices[:, 0] = torch.cat([torch.randint(n, (1,), generator=generator) for generator in generators]).to(device)
    closest = _improve(points, torch.full((len(seeds), n), torch.inf, device=device), indices[:, :1])[:, 0]
    labels = torch.zeros(closest.shape, dtype=torch.int64, device=device)
    floor = 2 * score_tolerance(points, slice(None), points.norms)  # between a row and one drawn nearby
    for step in range(1, n_clusters):
        mass = closest.masked_fill(closest <= floor, 0).cumsum(dim=1, dtype=torch.float64)
        if points.operand.dtype != points.rows.dtype and (mass[:, -1] == 0).any():
            return _draw_batch(points._replace(operand=points.rows), n_clusters, n_trials, seeds)
        uniform = torch.stack([torch.rand(n_trials, generator=g, dtype=torch.float64) for g in generators])
        trials = _draw_rows(mass, uniform.to(device))
        improved = _improve(points, closest, trials)  # (n_seeds, n_trials, n)
        best = improved.sum(dim=2).argmin(dim=1)
        indices[:, step] = trials[restart, best]
        labels.masked_fill_(improved[restart, best] < closest, step)
        closest = improved[restart, best]
    return Starts(indices, labels)


def _draw_rows(mass: Tensor, uniform: Tensor) -> Tensor:
    """Turn uniform numbers (n_seeds, n_trials) into rows by cumulated mass (n_seeds, n); without mass by chance."""
    total, n = mass[:, -1:], mass.shape[1]
    by_mass = torch.searchsorted(mass, uniform * total, right=True).clamp_(max=n - 1)
    return torch.where(total > 0, by_mass, (uniform * n).long())


def _improve(points: Points, closest: Tensor, trials: Tensor) -> Tensor:
    """Return squared distances to the nearest drawn row if a trial were drawn too, shape (n_seeds, n_trials, n)."""
    n_seeds, n_trials = trials.shape
    drawn = trials.flatten()
    operand = points.operand[drawn].T
    squares = points.norms.square()
    improved = torch.empty((n_seeds, n_trials, len(squares)), device=squares.device)
    for chunk in iter_chunks(len(squares), max(1, _TILE_ENTRIES // len(drawn))):
        products = (points.operand[chunk] @ operand).T.float()
        distances = torch.add(squares[chunk], products, alpha=-2).add_(squares[drawn, None])
        torch.minimum(closest[:, None, chunk], distances.view(n_seeds, n_trials, -1), out=improved[:, :, chunk])
    return improved
