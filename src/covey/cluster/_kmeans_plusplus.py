"""Where k-means begins: greedy k-means++ for all restarts at once."""

from math import log, sqrt

import torch
from torch import Tensor

from covey._arrays import iter_chunks

N_SKETCH = 64
"""Width of the random projection in which wide rows are compared."""
_TRIAL_ENTRIES = 2**26
"""Distances held at once; more restarts are drawn one batch after the other."""
_TILE_ENTRIES = 2**18


def plus_plus(rows: Tensor, n_clusters: int, seeds: list[int]) -> Tensor:
    """Draw rows to start from, one set a restart.

    Parameters
    ----------
    rows : Tensor of shape (n, d), dtype float32
        Centred rows.
    n_clusters : int
        Rows to draw, at most n.
    seeds : list of int
        One a restart.

    Returns
    -------
    indices : Tensor of shape (len(seeds), n_clusters), dtype int64
        Rows; distinct unless fewer rows differ.

    Notes
    -----
    k-means++ [1]_ in the greedy form that scikit-learn has: each step draws 2 + log k rows with probability
    proportional to D², the squared distance to the nearest row drawn before, and keeps the one that leaves the
    smallest sum of D². Restarts share one product a step, so ten cost little more than one.

    Rows of more than 2 · `N_SKETCH` features are compared in a random projection, which keeps all D² within a factor
    near 1 [2]_, equal rows equal, and reads an eighth of the memory at 512 features; the inertia that Lloyd's
    algorithm then reaches is the same within the spread of seeds (benchmarks/kmeans.csv).

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    .. [2] C. Boutsidis, A. Zouzias and P. Drineas, "Random Projections for k-means Clustering", NeurIPS 2010,
       arXiv:1011.4632.
    """
    rows = _sketch(rows, seeds[0])
    n_trials = 2 + int(log(n_clusters))
    per_batch = max(1, _TRIAL_ENTRIES // (n_trials * len(rows)))
    batches = [seeds[start : start + per_batch] for start in range(0, len(seeds), per_batch)]
    return torch.cat([_draw_batch(rows, n_clusters, n_trials, batch) for batch in batches])


def _sketch(rows: Tensor, seed: int) -> Tensor:
    """Project wide rows by a Gaussian matrix that keeps squared distances in expectation."""
    d = rows.shape[1]
    if d <= 2 * N_SKETCH:
        return rows
    projection = torch.randn(d, N_SKETCH, generator=torch.Generator().manual_seed(seed)) / sqrt(N_SKETCH)
    return rows @ projection.to(rows.device)


def _draw_batch(rows: Tensor, n_clusters: int, n_trials: int, seeds: list[int]) -> Tensor:
    """Draw one set of rows for each seed, shape (len(seeds), n_clusters)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    restart = torch.arange(len(seeds), device=rows.device)
    squares = rows.square().sum(dim=1)
    floor = squares * 16 * torch.finfo(rows.dtype).eps  # what rounding leaves between equal rows
    indices = torch.empty((len(seeds), n_clusters), dtype=torch.int64, device=rows.device)
    first = torch.cat([torch.randint(len(rows), (1,), generator=generator) for generator in generators])
    indices[:, 0] = first.to(rows.device)
    closest = torch.full((len(seeds), len(rows)), torch.inf, device=rows.device)
    closest = _improve(rows, squares, closest, indices[:, :1])[:, 0]
    for step in range(1, n_clusters):
        uniform = torch.stack([torch.rand(n_trials, generator=g, dtype=torch.float64) for g in generators])
        trials = _draw_rows(closest.masked_fill(closest <= floor, 0), uniform.to(rows.device))
        improved = _improve(rows, squares, closest, trials)  # (n_seeds, n_trials, n)
        best = improved.sum(dim=2).argmin(dim=1)
        indices[:, step] = trials[restart, best]
        closest = improved[restart, best]
    return indices


def _draw_rows(closest: Tensor, uniform: Tensor) -> Tensor:
    """Turn uniform numbers (n_seeds, n_trials) into rows by mass `closest` (n_seeds, n); without mass by chance."""
    mass = closest.cumsum(dim=1, dtype=torch.float64)
    total, n = mass[:, -1:], mass.shape[1]
    by_mass = torch.searchsorted(mass, uniform * total, right=True).clamp_(max=n - 1)
    return torch.where(total > 0, by_mass, (uniform * n).long())


def _improve(rows: Tensor, squares: Tensor, closest: Tensor, trials: Tensor) -> Tensor:
    """Return squared distances to the nearest drawn row if a trial were drawn too, shape (n_seeds, n_trials, n)."""
    n_seeds, n_trials = trials.shape
    centers = trials.flatten()
    operand = rows[centers].T
    improved = torch.empty((n_seeds, n_trials, len(rows)), device=rows.device)
    for chunk in iter_chunks(len(rows), max(1, _TILE_ENTRIES // len(centers))):
        distances = torch.add(squares[chunk], (rows[chunk] @ operand).T, alpha=-2).add_(squares[centers, None])
        torch.minimum(closest[:, None, chunk], distances.view(n_seeds, n_trials, -1), out=improved[:, :, chunk])
    return improved
