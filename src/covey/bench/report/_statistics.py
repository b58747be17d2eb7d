"""Numbers over seeds: what a table says of five of them, and whether two methods differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_N_RESAMPLES: Final = 99_999
_SEED: Final = 0


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
        Probability of a sum of differences at least as far from 0 if the sign of each were drawn by a fair coin:
        two-sided, and with n seeds never below 2^(1 - n).
    is_exact : bool
        Whether `p` counts all 2^n sign patterns; with more than 16 seeds it is estimated from 99,999 random ones.
    """

    mean: float
    std: float
    n_better: int
    n_worse: int
    n: int
    p: float
    is_exact: bool


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

    Notes
    -----
    The paired permutation test of `scipy.stats.permutation_test`: exact for up to 16 common seeds, and with a fixed
    seed drawn at random for more.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    differences = np.array([first[seed] - second[seed] for seed in seeds])  # (n,)
    summary = summarize(differences.tolist())
    return Comparison(
        summary.mean,
        summary.std,
        int((differences > 0).sum()),
        int((differences < 0).sum()),
        len(seeds),
        _permutation_p(differences),
        2 ** len(seeds) <= _N_RESAMPLES,
    )


def _permutation_p(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p of differences (n,) whose signs are exchangeable."""
    if len(differences) == 1:
        return 1.0  # either sign is as far from 0, and SciPy takes no sample of one
    from scipy.stats import permutation_test  # noqa: PLC0415 - half a second that runs without a report do not need

    test = permutation_test(
        (differences,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",  # of one sample: every value with its own sign or the other
        n_resamples=_N_RESAMPLES,
        vectorized=True,
        batch=2**12,
        rng=np.random.default_rng(_SEED),
    )
    return float(test.pvalue)


def median_of(lines: Sequence[Mapping[str, Any]], *path: str) -> float | None:
    """Return the median over lines of a number that is below keys, of those that have it."""
    values = []
    for line in lines:
        value: Any = line
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            values.append(float(value))
    return float(np.median(values)) if values else None
