"""The old home of the checks in `covey.cluster._base` and `covey.cluster._parameters`."""

from collections.abc import Mapping, Sequence
from typing import Any

from covey.cluster._base import check_n_clusters, fit_features, predict_features
from covey.cluster._parameters import check_integer, check_real

__all__ = ["check_choices", "check_integer", "check_n_clusters", "check_real", "fit_features", "predict_features"]


def check_choices(parameters: Mapping[str, Any], choices: Mapping[str, Sequence[str]]) -> None:
    """Raise for the first parameter whose word is not among its choices."""
    for name, allowed in choices.items():
        if parameters[name] not in allowed:
            raise ValueError(f"{name} is {parameters[name]!r}; it must be one of {', '.join(allowed)}.")
