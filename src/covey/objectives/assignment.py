"""One-to-one assignment of rows to targets: any targets, or few that many rows share."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_SWEEPS = 4
_ROWS_PER_TARGET = 8  # from here on the transport problem is the faster one: benchmarks/mmdc_assignment.py

Costs = NDArray[np.float64]


def assign_one_to_one(cost: Tensor) -> Tensor:
    """Give each row a target of its own so that the costs sum to the least.

    Parameters
    ----------
    cost : Tensor of shape (batch, batch)
        What row i costs at target j.

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
    Eq. 1 of [1]_ over a batch, the general linear assignment problem, solved by SciPy on the CPU in O(batch³).

    References
    ----------
    .. [1] Shiran and Weinshall, "Multi-Modal Deep Clustering: Unsupervised Partitioning of Images", 2019,
       arXiv:1912.02678.
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
        What row i costs at target k.
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
    it has room for; the few rows that are then still too many travel along shortest paths in the graph of targets,
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
        raise ValueError("cost holds NaN or infinity: the network's outputs are no numbers any more.")
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
