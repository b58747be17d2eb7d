"""What every estimator checks at its door, so that their messages agree."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from covey.types import FloatArray


def fit_features(estimator: Any, X: Any) -> FloatArray:
    """Validate what `fit` got and remember its width; float64 becomes float32, row i stays row i."""
    return _as_float32(estimator, X, reset=True)


def predict_features(estimator: Any, X: Any) -> FloatArray:
    """Validate what `predict` or `transform` got against what `fit` saw; the estimator must be fitted."""
    check_is_fitted(estimator)
    return _as_float32(estimator, X, reset=False)


def _as_float32(estimator: Any, X: Any, *, reset: bool) -> FloatArray:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the validation reports
        array: FloatArray = validate_data(estimator, X, reset=reset, dtype=np.float32, order="C", copy=False)
    return array


def check_integer(name: str, value: Any, *, minimum: int) -> int:
    """Return a whole number of at least `minimum`; `True` is not one."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; it must be a whole number of at least {minimum}.")
    if value < minimum:
        raise ValueError(f"{name} is {value}; it must be at least {minimum}.")
    return int(value)


def check_real(name: str, value: Any, *, low: float = 0.0, high: float = math.inf, open_low: bool = False) -> float:
    """Return a finite number in [low, high], or in (low, high] if `open_low`."""
    allowed = f"{'(' if open_low else '['}{low:g}, {high:g}]"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}; it must be a number in {allowed}.")
    if not (math.isfinite(value) and low <= value <= high) or (open_low and value == low):
        raise ValueError(f"{name} is {value}; it must lie in {allowed}.")
    return float(value)


def check_choices(parameters: Mapping[str, Any], choices: Mapping[str, Sequence[str]]) -> None:
    """Raise for the first parameter whose word is not among its choices."""
    for name, allowed in choices.items():
        if parameters[name] not in allowed:
            raise ValueError(f"{name} is {parameters[name]!r}; it must be one of {', '.join(allowed)}.")


def check_n_clusters(n_clusters: Any, n_samples: int) -> int:
    """Return a number of clusters that `n_samples` rows can fill."""
    n_wanted = check_integer("n_clusters", n_clusters, minimum=1)
    if n_wanted > n_samples:
        raise ValueError(
            f"n_clusters is {n_wanted}, but X has only {n_samples} rows (n_samples={n_samples}); "
            f"ask for at most {n_samples} clusters."
        )
    return n_wanted
