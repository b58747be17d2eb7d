"""What TEMI's parameters may be."""

from collections.abc import Mapping
from typing import Any

from covey.cluster._checks import check_integer, check_real

_CHOICES = {"objective": ("temi", "wpmi", "pmi", "scan"), "init": ("kmeans", "random")}
_COUNTS = ("n_heads", "n_neighbors", "batch_size", "n_steps", "hidden_size", "bottleneck_size")
_COUNTS_OR_NONE = ("n_epochs", "n_components")
_POSITIVE = ("learning_rate", "temperature")
_NOT_NEGATIVE = ("weight_decay", "entropy_weight")
_SHARES = ("warmup", "frozen_last_layer", "teacher_momentum", "prior_momentum")


def check_temi_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of TEMI's parameters that is out of range."""
    for name, allowed in _CHOICES.items():
        if parameters[name] not in allowed:
            raise ValueError(f"{name} is {parameters[name]!r}; it must be one of {', '.join(allowed)}.")
    check_real("beta", parameters["beta"], low=0.5, high=1.0, open_low=True)
    for name in _COUNTS:
        check_integer(name, parameters[name], minimum=1)
    for name in _COUNTS_OR_NONE:
        if parameters[name] is not None:
            check_integer(name, parameters[name], minimum=1)
    for name in _POSITIVE:
        check_real(name, parameters[name], open_low=True)
    for name in _NOT_NEGATIVE:
        check_real(name, parameters[name])
    for name in _SHARES:
        check_real(name, parameters[name], high=1.0)
