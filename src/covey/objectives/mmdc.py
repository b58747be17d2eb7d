"""Every equation of MMDC: targets on the unit sphere, their assignment to images, and the two losses.

`target_means` and `draw_targets` are eq. 2; `assign_one_to_one` and `assign_to_capacities` solve eq. 1 for the
assignment, `target_loss` is eq. 1 for the network; `nearest_means` is eq. 3; `rotation_loss` is L_r of algorithm 1.
`draw_noise` has the targets of NAT, which MMDC builds on.

References
----------
.. [1] Shiran and Weinshall, "Multi-Modal Deep Clustering: Unsupervised Partitioning of Images", 2019,
   arXiv:1912.02678.
.. [2] Bojanowski and Joulin, "Unsupervised Learning by Predicting Noise", ICML 2017, arXiv:1704.05310.
"""

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.nn import functional as F

from covey.types import FloatArray, IntArray

MeansKind = Literal["one_hot", "random"]
Costs = NDArray[np.float64]

_HALF_WIDTH = 0.1  # of the uniform distribution that random means are drawn from
_SWEEPS = 4
_ROWS_PER_TARGET = 8  # from here on the transport problem is the faster one: benchmarks/mmdc_speed.py


def target_means(
    n_means: int, n_dimensions: int, *, kind: MeansKind = "one_hot", generator: torch.Generator | None = None
) -> Tensor:
    """Place the means of the mixture on the unit sphere.

    Parameters
    ----------
    n_means : int
        Number of components, K.
    n_dimensions : int
        Dimension of the sphere's space, d.
    kind : {"one_hot", "random"}, default="one_hot"
        The first K unit vectors, or points drawn uniformly from a small cube and scaled to unit length.
    generator : torch.Generator, optional
        On the CPU; for ``"random"``.

    Returns
    -------
    means : Tensor of shape (n_means, n_dimensions), dtype float32
        Rows of unit length.

    Raises
    ------
    ValueError
        If one-hot means have more components than dimensions, or the kind is unknown.

    Notes
    -----
    The means µ_k of eq. 2 of the paper and section IV-A; its results have one-hot means with d = K.
    """
    if kind == "one_hot":
        if n_dimensions < n_means:
            raise ValueError(f"{n_means} one-hot means need as many dimensions, not {n_dimensions}; take random means.")
        return torch.eye(n_means, n_dimensions)
    if kind != "random":
        raise ValueError(f"The kind of means is {kind!r}; it must be 'one_hot' or 'random'.")
    cube = torch.empty(n_means, n_dimensions).uniform_(-_HALF_WIDTH, _HALF_WIDTH, generator=generator)
    return F.normalize(cube, dim=1)


def draw_components(n_rows: int, n_means: int, *, generator: torch.Generator) -> Tensor:
    """Draw the component of each row, all equally likely.

    Parameters
    ----------
    n_rows, n_means : int
        Number of rows, and of components, K.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    labels : Tensor of shape (n_rows,), dtype int64
        Independent draws, as in the paper's algorithm 1, so that components have about n/K rows, not exactly.
    """
    return torch.randint(n_means, (n_rows,), generator=generator)


def draw_targets(means: Tensor, labels: Tensor, variance: float, *, generator: torch.Generator) -> Tensor:
    """Draw a target around the mean of each row's component.

    Parameters
    ----------
    means : Tensor of shape (n_means, d), dtype float32
        From `target_means`.
    labels : Tensor of shape (n_rows,), dtype int64
        The component of each row.
    variance : float
        Variance σ of each coordinate, at least 0.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    targets : Tensor of shape (n_rows, d), dtype float32
        Rows of unit length.

    Notes
    -----
    Eq. 2 of the paper: t = u / |u| with u ~ N(µ_k, σ I). The authors' code takes σ for the standard deviation.
    """
    noise = torch.randn((len(labels), means.shape[1]), generator=generator)
    return F.normalize(means[labels] + math.sqrt(variance) * noise, dim=1)


def draw_noise(n_rows: int, n_dimensions: int, *, generator: torch.Generator) -> Tensor:
    """Draw targets uniformly from the unit sphere, as NAT does.

    Parameters
    ----------
    n_rows, n_dimensions : int
        Shape of the result.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    targets : Tensor of shape (n_rows, n_dimensions), dtype float32
        Rows of unit length.

    Notes
    -----
    Section 3.2 of Bojanowski and Joulin.
    """
    return F.normalize(torch.randn((n_rows, n_dimensions), generator=generator), dim=1)


def target_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute how far outputs are from their targets.

    Parameters
    ----------
    outputs, targets : Tensor of shape (batch, d)
        Of unit length.

    Returns
    -------
    loss : Tensor, scalar
        Mean squared difference over the batch and over the d dimensions; smaller is better.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Eq. 1 of the paper for θ, with the squared Euclidean distance over d, as in the authors' code: learning rates belong
    to this scale. For outputs of unit length it is (2 - 2 cos) / d; an output that is the same for all K one-hot
    targets has ``(2 - 2 / sqrt(K)) / K``.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}, targets {tuple(targets.shape)}; they must agree.")
    return F.mse_loss(outputs, targets)


def rotation_loss(logits: Tensor, n_quarter_turns: Tensor) -> Tensor:
    """Compute how badly rotations are recognized.

    Parameters
    ----------
    logits : Tensor of shape (batch, 4), dtype float32
        Of 0 to 3 quarter turns.
    n_quarter_turns : Tensor of shape (batch,), dtype int64
        By how many each image was rotated.

    Returns
    -------
    loss : Tensor, scalar
        Cross-entropy in nats; smaller is better.

    Notes
    -----
    L_r of the paper's algorithm 1.
    """
    return F.cross_entropy(logits, n_quarter_turns)


def nearest_means(outputs: FloatArray, means: FloatArray) -> IntArray:
    """Return the cluster of each output: the nearest mean.

    Parameters
    ----------
    outputs : ndarray of shape (n, d), dtype float32
        What the network makes of images.
    means : ndarray of shape (n_means, d), dtype float32
        The means µ_k.

    Returns
    -------
    labels : ndarray of shape (n,), dtype int64
        Eq. 3 of the paper; of equally near means the first. Distances are computed in float64.
    """
    return np.asarray(cdist(outputs, means).argmin(axis=1), dtype=np.int64)


def assign_one_to_one(cost: Tensor) -> Tensor:
    """Give each row a target of its own so that the costs sum to the least.

    Parameters
    ----------
    cost : Tensor of shape (batch, batch)
        Cost of row i at target j.

    Returns
    -------
    columns : Tensor of shape (batch,), dtype int64
        A permutation: the target of each row.

    Raises
    ------
    ValueError
        If the matrix is not square, or a cost is not finite.

    Notes
    -----
    Eq. 1 of the paper for P over a batch, the general linear assignment problem, solved by SciPy on the CPU in
    O(batch³).
    """
    costs = _check_costs(cost)
    if cost.shape[0] != cost.shape[1]:
        raise ValueError(f"cost has shape {tuple(cost.shape)}; one to one means as many targets as rows.")
    return torch.from_numpy(linear_sum_assignment(costs)[1]).to(cost.device)


def assign_to_capacities(cost: Tensor, capacities: Tensor) -> Tensor:
    """Give each row one of few targets, each to as many rows as it has room for, at the least cost.

    Parameters
    ----------
    cost : Tensor of shape (batch, n_targets)
        Cost of row i at target k.
    capacities : Tensor of shape (n_targets,), dtype int64
        Rows that each target takes; they sum to the batch.

    Returns
    -------
    columns : Tensor of shape (batch,), dtype int64
        The target of each row.

    Raises
    ------
    ValueError
        If capacities do not sum to the rows or are negative, or a cost is not finite.

    Notes
    -----
    The optimum is that of `assign_one_to_one` on the matrix that repeats each column as often as its capacity says, in
    a fraction of the time where rows are many times more than targets; elsewhere it solves that very problem.

    It is a transport problem. For any prices p, the rows' cheapest targets by cost + p are an optimum for the
    capacities that they happen to use. Sweeps over the targets set each price so that its target gets as many rows as
    it has room for; the few rows that are then still too many move along shortest paths in the graph of targets,
    where a step from k to l costs the least that a row of k loses by going to l. No cycle in that graph has a negative
    length, so each such path keeps the optimum. Ties may be broken in another way than in the larger problem.
    """
    costs = _check_costs(cost)
    rooms = np.asarray(capacities.cpu().numpy())
    if rooms.shape != (costs.shape[1],) or rooms.sum() != len(costs) or (rooms < 0).any():
        raise ValueError(
            f"capacities {rooms.tolist()} do not fit {costs.shape[0]} rows and {costs.shape[1]} targets: there must be "
            "one for each target, none negative, and their sum the number of rows."
        )
    used = np.flatnonzero(rooms)
    solve = _transport if len(costs) >= _ROWS_PER_TARGET * len(used) else _repeat_columns
    return torch.from_numpy(used[solve(np.ascontiguousarray(costs[:, used]), rooms[used])]).to(cost.device)


def _check_costs(cost: Tensor) -> Costs:
    """Return finite costs (batch, n_targets) as a float64 array."""
    costs = np.asarray(cost.detach().cpu().double().numpy())
    if costs.ndim != 2 or costs.size == 0:
        raise ValueError(f"cost has shape {costs.shape}; it must have rows and targets.")
    if not np.isfinite(costs).all():
        raise ValueError("cost holds NaN or infinity, so the network's outputs do; lower the learning rate.")
    return costs


def _repeat_columns(costs: Costs, rooms: NDArray[Any]) -> NDArray[Any]:
    """Solve the assignment with each column as often as it has room."""
    columns = np.repeat(np.arange(len(rooms)), rooms)
    return np.asarray(columns[linear_sum_assignment(costs[:, columns])[1]])


def _transport(costs: Costs, rooms: NDArray[Any]) -> NDArray[Any]:
    """Solve the transport problem; every room is at least 1."""
    labels = (costs + _sweep_prices(costs, rooms)).argmin(axis=1)
    surplus = np.bincount(labels, minlength=len(rooms)) - rooms
    while surplus.any():
        loss = costs - np.take_along_axis(costs, labels[:, None], axis=1)  # of each row at each target
        source, path = _shortest_path(_step_lengths(loss, labels), surplus)
        for start, end in path:
            rows = np.flatnonzero(labels == start)
            labels[rows[loss[rows, end].argmin()]] = end
        surplus[source] -= 1
        surplus[path[0][1]] += 1
    return np.asarray(labels)


def _sweep_prices(costs: Costs, rooms: NDArray[Any]) -> Costs:
    """Return prices (n_targets,) at which most targets are the cheapest of about as many rows as they have room for."""
    n_rows, n_targets = costs.shape
    prices = np.zeros(n_targets)
    for _ in range(_SWEEPS if n_targets > 1 else 0):
        for k, room in enumerate(rooms):
            priced = costs + prices
            priced[:, k] = np.inf
            worth = priced.min(axis=1) - costs[:, k]  # a row comes if the price is below
            last = n_rows - room
            ordered = np.partition(worth, (last - 1, last))
            prices[k] = (ordered[last - 1] + ordered[last]) / 2
        if (np.bincount((costs + prices).argmin(axis=1), minlength=n_targets) == rooms).all():
            break
    return prices


def _step_lengths(loss: Costs, labels: NDArray[Any]) -> Costs:
    """Return what the cheapest move of a row from target k to target l costs, (n_targets, n_targets)."""
    n_targets = loss.shape[1]
    lengths = np.full((n_targets, n_targets), np.inf)
    for k in range(n_targets):
        rows = labels == k
        if rows.any():
            lengths[k] = loss[rows].min(axis=0)
    np.fill_diagonal(lengths, np.inf)
    return lengths


def _shortest_path(lengths: Costs, surplus: NDArray[Any]) -> tuple[int, list[tuple[int, int]]]:
    """Find the shortest way from a target with too many rows to one with too few, by Bellman and Ford.

    Returns the source, and the steps (from, to), the last one first.
    """
    n_targets = len(surplus)
    distances = np.where(surplus > 0, 0.0, np.inf)
    before = np.full(n_targets, -1)
    for _ in range(n_targets):
        reached = distances[:, None] + lengths
        best = reached.argmin(axis=0)
        shorter = reached[best, np.arange(n_targets)] < distances - 1e-12  # not around a cycle of rounding errors
        if not shorter.any():
            break
        distances = np.where(shorter, reached[best, np.arange(n_targets)], distances)
        before = np.where(shorter, best, before)
    end = int(np.where(surplus < 0, distances, np.inf).argmin())
    path = []
    while before[end] >= 0:
        path.append((int(before[end]), end))
        end = int(before[end])
    return end, path
