"""What TEMI's parameters may be."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from covey.cluster._checks import check_choices, check_integer, check_real

_CHOICES = {"objective": ("temi", "wpmi", "pmi", "scan"), "init": ("kmeans", "random")}
_MAY_BE_NONE = ("n_epochs", "n_components", "tol")
_COUNTS = (
    "n_heads",
    "n_neighbors",
    "batch_size",
    "n_steps",
    "hidden_size",
    "bottleneck_size",
    "n_epochs",
    "n_components",
)
_POSITIVE = ("learning_rate", "temperature")
_NOT_NEGATIVE = ("weight_decay", "entropy_weight", "tol")
_SHARES = ("warmup", "frozen_last_layer", "teacher_momentum", "prior_momentum")


def check_temi_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of TEMI's parameters that is out of range."""
    given = {name: value for name, value in parameters.items() if value is not None or name not in _MAY_BE_NONE}
    check_choices(given, _CHOICES)
    if given["beta"] != "auto":
        check_real("beta", given["beta"], low=0.5, high=1.0, open_low=True)
    for name, value in given.items():
        if name in _COUNTS:
            check_integer(name, value, minimum=1)
        elif name in _POSITIVE:
            check_real(name, value, open_low=True)
        elif name in _NOT_NEGATIVE:
            check_real(name, value)
        elif name in _SHARES:
            check_real(name, value, high=1.0)


def check_partners(partners: Any, n_rows: int) -> None:
    """Raise unless partners are row numbers (n_rows, k) below `n_rows`."""
    array = np.asarray(partners)
    if array.ndim != 2 or len(array) != n_rows or array.dtype.kind not in "iu":
        raise ValueError(
            f"partners has shape {array.shape} and dtype {array.dtype}; it must hold row numbers, ({n_rows}, k)."
        )
    if array.size and (array.min() < 0 or array.max() >= n_rows):
        raise ValueError(f"partners names rows {array.min()} to {array.max()}; X has rows 0 to {n_rows - 1}.")
