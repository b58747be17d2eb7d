"""Numbers over seeds: what a table says of five of them, and whether two methods differ."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """One score over seeds.

    Attributes
    ----------
    mean, std, median, low, high : float
        `std` with n - 1, 0 for one seed; `low` and `high` are the least and the largest value.
    n : int
        Seeds.
    """

    mean: float
    std: float
    median: float
    low: float
    high: float
    n: int


def summarize(values: Sequence[float]) -> Summary:
    """Sum up values of at least one seed."""
    array = np.asarray(values, dtype=np.float64)
    spread = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    return Summary(
        float(array.mean()), spread, float(np.median(array)), float(array.min()), float(array.max()), len(array)
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the same rows, seed by seed.

    Attributes
    ----------
    mean, std : float
        Of the differences, first minus second.
    n_better, n_worse, n : int
        Seeds in which the first is better, in which the second is, and all that both have.
    p : float
        How often differences at least as large would arise if their signs were drawn by a coin: exact, two-sided. With
        n seeds it cannot fall below 2^(1 - n).
    """

    mean: float
    std: float
    n_better: int
    n_worse: int
    n: int
    p: float


def compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison | None:
    """Compare two methods over the seeds that both have.

    Parameters
    ----------
    first, second : mapping of int to float
        Scores by seed.

    Returns
    -------
    comparison : Comparison or None
        None without a common seed.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    signs = np.array(list(itertools.product((1, -1), repeat=min(len(seeds), 12))))
    sums = np.abs(signs @ differences[: signs.shape[1]])
    observed = np.abs(differences[: signs.shape[1]].sum())
    summary = summarize(differences.tolist())
    return Comparison(
        summary.mean,
        summary.std,
        int((differences > 0).sum()),
        int((differences < 0).sum()),
        len(seeds),
        float((sums >= observed - 1e-12).mean()),
    )


def median_of(lines: Sequence[Mapping[str, Any]], *path: str) -> float | None:
    """Return the median over lines of a number that stands below keys, of those that have it."""
    values = []
    for line in lines:
        value: Any = line
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            values.append(float(value))
    return float(np.median(values)) if values else None
