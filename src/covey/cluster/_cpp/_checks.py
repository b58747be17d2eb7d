"""What CPP's parameters may be."""

from collections.abc import Mapping
from typing import Any

from covey.cluster._checks import check_choices, check_integer, check_real
from covey.objectives.cpp import check_half_steps

_CHOICES = {"heads": ("two", "one"), "optimizer": ("adam", "sgd"), "schedule": ("constant", "cosine")}


def check_cpp_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of CPP's parameters that is out of range."""
    check_choices(parameters, _CHOICES)
    for name in ("code_size", "hidden_size", "n_half_steps", "n_landmarks", "n_steps"):
        check_integer(name, parameters[name], minimum=1)
    check_half_steps(parameters["n_half_steps"])
    check_integer("batch_size", parameters["batch_size"], minimum=2)
    for name in ("n_columns", "n_epochs"):
        if parameters[name] is not None:
            check_integer(name, parameters[name], minimum=1)
    for name in ("gamma", "eps_squared", "learning_rate"):
        check_real(name, parameters[name], open_low=True)
    for name in ("membership_penalty", "weight_decay", "cluster_weight_decay"):
        check_real(name, parameters[name])
    check_real("warmup", parameters["warmup"], high=1.0)
