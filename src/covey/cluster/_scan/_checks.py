"""What SCAN's parameters may be."""

from collections.abc import Mapping
from typing import Any

from covey.cluster._checks import check_choices, check_integer, check_real

_CHOICES = {"optimizer": ("adam", "sgd")}


def check_scan_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of SCAN's parameters that is out of range."""
    check_choices(parameters, _CHOICES)
    for name in ("n_heads", "n_neighbors", "n_steps", "batch_size"):
        check_integer(name, parameters[name], minimum=1)
    if parameters["n_epochs"] is not None:
        check_integer("n_epochs", parameters["n_epochs"], minimum=1)
    for name in ("entropy_weight", "weight_decay"):
        check_real(name, parameters[name])
    check_real("learning_rate", parameters["learning_rate"], open_low=True)
    check_real("momentum", parameters["momentum"], high=1.0)
