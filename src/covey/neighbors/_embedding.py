"""A neighbor embedding: rows in a few dimensions, in which neighbors stay neighbors."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import curve_fit
from scipy.sparse import csr_matrix
from torch import Tensor

from covey._arrays import check_features, l2_normalize
from covey._torch import make_generator, resolve_device, to_numpy, to_tensor
from covey.types import FloatArray, NeighborGraph, Progress

_BISECTIONS = 48
_FEW_ROWS = 10_000
_START_SIDE = 10.0  # half the side of the box in which the start is put
_START_NOISE = 1e-4  # parts rows that are equal
_MOST_STEP = 4.0  # of one coordinate, for one pair
_SMALLEST_SQUARE = 1e-3  # keeps the repulsion of rows that coincide finite


def neighbor_embedding(
    X: Any,
    neighbors: NeighborGraph,
    *,
    n_components: int = 2,
    min_dist: float = 0.1,
    n_negatives: int = 5,
    n_epochs: int | None = None,
    random_state: Any = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> FloatArray:
    """Place rows in a few dimensions so that neighbors are close and others are not.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features, from whose principal axes the placement starts.
    neighbors : NeighborGraph
        Nearest neighbors of the rows of `X`, k of each; 15 is usual.
    n_components : int, default=2
        Dimensions of the embedding.
    min_dist : float, default=0.1
        How close rows are packed, in units of the embedding, in [0, 1]; 0 for clustering.
    n_negatives : int, default=5
        Random rows that a row is pushed away from, for each neighbor that it is drawn to.
    n_epochs : int, optional
        Passes over the edges of the graph; 500 up to 10,000 rows and 200 above if not given.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the sampled edges and rows.
    device : str, default="auto"
        Where it computes.
    progress : Progress, optional
        Called after each pass.

    Returns
    -------
    embedding : ndarray of shape (n, n_components), dtype float32
        Distances within it have no unit.

    Raises
    ------
    ValueError
        If `neighbors` describes other rows, or a number is out of range.

    Notes
    -----
    The objective is that of [1]_: cross-entropy between the fuzzy graph of neighbors (eq. 1, symmetrized as in section
    3.1) and the similarities ``1 / (1 + a d^(2b))`` of the embedding, minimized by sampled edges and negative samples.
    Departs from it: the start is on principal axes, not the graph's eigenvectors; all rows take a step at once, for
    one of their neighbors after another, so a row meets about one attraction a step, as in the authors' sequential
    loop, and the result depends on the seed alone, not on threads.

    References
    ----------
    .. [1] McInnes, Healy and Melville, "UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction",
       2018, arXiv:1802.03426.
    """
    X = check_features(X)
    _check(X, neighbors, n_components=n_components, min_dist=min_dist, n_negatives=n_negatives, n_epochs=n_epochs)
    place = resolve_device(device)
    generator = make_generator(random_state, place)
    placed = _principal_start(to_tensor(l2_normalize(X), place), n_components, generator)
    if len(X) <= 2 or neighbors.indices.shape[1] == 0:
        return to_numpy(placed)
    # Probability with which each directed edge (n, k) is taken in a pass.
    probabilities = edge_probabilities(neighbors)
    # A pass takes the nearest neighbor of every row, then the second, and so on: contiguous rows of (k, n).
    table = to_tensor(np.ascontiguousarray(neighbors.indices.T), place)
    chances = to_tensor(np.ascontiguousarray(probabilities.T), place)
    curve = _fit_curve(min_dist)
    n_epochs = n_epochs or (500 if len(X) <= _FEW_ROWS else 200)
    for epoch in range(n_epochs):
        rate = 1.0 - epoch / n_epochs
        for partners, chance in zip(table, chances, strict=True):
            # Edges (m,) sampled by their strength, and random rows (m, n_negatives) to be pushed away from.
            rows = torch.nonzero(torch.rand(len(X), generator=generator, device=place) < chance)[:, 0]
            others = torch.randint(len(X), (len(rows), n_negatives), generator=generator, device=place)
            _step(placed, rows, partners[rows], others, curve=curve, rate=rate)
        if progress is not None:
            progress("embedding", epoch + 1, n_epochs)
    return to_numpy(placed - placed.mean(dim=0))


def edge_probabilities(neighbors: NeighborGraph) -> FloatArray:
    """Compute how strongly each row is tied to each of its neighbors.

    Parameters
    ----------
    neighbors : NeighborGraph
        k neighbors of n rows with their distances.

    Returns
    -------
    probabilities : ndarray of shape (n, k), dtype float32
        In [0, 1], the strongest edge 1. An edge that only one end has counts twice, since the symmetric graph has it
        in both directions.
    """
    weights = fuzzy_weights(neighbors.distances)  # (n, k)
    n, k = weights.shape
    rows, columns = np.repeat(np.arange(n), k), neighbors.indices.ravel()
    directed = csr_matrix((weights.ravel(), (rows, columns)), shape=(n, n))
    reverse = np.asarray(directed.T.tocsr()[rows, columns]).ravel()
    forward = weights.ravel()
    # Union of the two directed memberships, a + b - a b: the symmetric graph of section 3.1.
    both = forward + reverse - forward * reverse
    strength = np.where(reverse > 0, both, np.minimum(2 * both, 1.0))
    scaled: FloatArray = (strength / max(strength.max(), np.finfo(np.float32).tiny)).reshape(n, k).astype(np.float32)
    return scaled


def fuzzy_weights(distances: FloatArray) -> FloatArray:
    """Compute the membership of each neighbor in the fuzzy set of a row, eq. 1 of [1]_ of `neighbor_embedding`.

    Parameters
    ----------
    distances : ndarray of shape (n, k)
        Of the k nearest neighbors, nearest first.

    Returns
    -------
    weights : ndarray of shape (n, k), dtype float64
        ``exp(-max(0, d - rho) / sigma)`` with rho the distance of the nearest neighbor and sigma such that each row
        sums to log2(k).
    """
    k = distances.shape[1]
    if k == 1:
        return np.ones_like(distances, dtype=np.float64)
    excess = np.maximum(distances.astype(np.float64) - distances[:, :1], 0)  # (n, k)
    target = np.log2(k)
    # Bisection of log sigma: the sum grows with sigma from 1 (or the number of ties) to k.
    scale = np.maximum(excess.mean(axis=1, keepdims=True), 1e-12)
    low, high = np.full_like(scale, -20.0), np.full_like(scale, 20.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        total = np.exp(-excess / (scale * np.exp(middle))).sum(axis=1, keepdims=True)
        low, high = np.where(total < target, middle, low), np.where(total < target, high, middle)
    return np.asarray(np.exp(-excess / (scale * np.exp(high))))


def _check(
    X: FloatArray,
    neighbors: NeighborGraph,
    *,
    n_components: int,
    min_dist: float,
    n_negatives: int,
    n_epochs: int | None,
) -> None:
    """Raise unless the graph and the numbers fit the rows X (n, d)."""
    if len(neighbors.indices) != len(X):
        raise ValueError(f"neighbors has {len(neighbors.indices)} rows, X has {len(X)}; they must be the same rows.")
    if not 1 <= n_components <= X.shape[1]:
        raise ValueError(f"n_components is {n_components}; it must be from 1 to {X.shape[1]}, the width of X.")
    if not 0 <= min_dist <= 1:
        raise ValueError(f"min_dist is {min_dist}; it must be in [0, 1].")
    for name, number in (("n_negatives", n_negatives), ("n_epochs", n_epochs)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1.")


def _principal_start(unit: Tensor, n_components: int, generator: torch.Generator) -> Tensor:
    """Project unit rows (n, d) on their principal axes, scaled into a box; return (n, n_components) float32."""
    centered = unit - unit.mean(dim=0)
    _, axes = torch.linalg.eigh((centered.T @ centered).double().cpu())
    axes = axes[:, -n_components:].flip(1)  # (d, n_components), the widest first
    # The sign of an axis is arbitrary: its largest entry is positive on every machine.
    signs = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    placed: Tensor = centered @ (axes * signs).to(centered)
    placed *= _START_SIDE / placed.abs().max().clamp_min(torch.finfo(placed.dtype).tiny)
    return placed + _START_NOISE * torch.randn(placed.shape, generator=generator, device=placed.device)


def _fit_curve(min_dist: float) -> tuple[float, float]:
    """Return a and b of ``1 / (1 + a d^(2b))`` closest to 1 up to `min_dist` and ``exp(min_dist - d)`` beyond."""
    d = np.linspace(0, 3, 300)
    wanted = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist)))
    (a, b), _ = curve_fit(lambda x, a, b: 1.0 / (1.0 + a * x ** (2 * b)), d, wanted, p0=(1.5, 0.9))
    return float(a), float(b)


def _step(
    placed: Tensor, rows: Tensor, partners: Tensor, others: Tensor, *, curve: tuple[float, float], rate: float
) -> None:
    """Move rows (m,) of `placed` (n, c), in place: to their partners (m,), and away from others (m, n_negatives)."""
    a, b = curve
    heads, tails = placed[rows], placed[partners]
    difference = heads - tails  # (m, c)
    square = (difference * difference).sum(dim=1, keepdim=True)
    # Attraction: the derivative of -log(1 / (1 + a d^(2b))) with respect to the head.
    pull = -2 * a * b * square.clamp_min(1e-12) ** (b - 1) / (1 + a * square**b)
    attraction = (pull * difference).clamp(-_MOST_STEP, _MOST_STEP)
    # Repulsion: the derivative of -log(1 - 1 / (1 + a d^(2b))), for the random rows of each head.
    away = heads[:, None] - placed[others]  # (m, n_negatives, c)
    square = (away * away).sum(dim=2, keepdim=True)
    push = 2 * b / ((_SMALLEST_SQUARE + square) * (1 + a * square**b))
    repulsion = (push * away).clamp(-_MOST_STEP, _MOST_STEP).sum(dim=1)
    placed.index_add_(0, rows, rate * (attraction + repulsion))
    placed.index_add_(0, partners, -rate * attraction)
