"""What SCP's parameters and views may be."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from covey._arrays import check_features
from covey.cluster._checks import check_choices, check_integer, check_real
from covey.types import FloatArray

_CHOICES = {
    "scaling": ("standardize", "l2", "none"),
    "confidence": ("mean_of_log", "log_of_mean"),
    "init": ("kmeans", "random"),
}


def check_scp_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for the first of SCP's parameters that is out of range."""
    check_choices(parameters, _CHOICES)
    for size in parameters["hidden_sizes"]:
        check_integer("A hidden size", size, minimum=1)
    for name in ("n_neighbors", "n_steps", "batch_size"):
        check_integer(name, parameters[name], minimum=1)
    if parameters["n_epochs"] is not None:
        check_integer("n_epochs", parameters["n_epochs"], minimum=1)
    for name in ("alpha", "cross_entropy_weight", "confidence_weight", "weight_decay"):
        check_real(name, parameters[name])
    check_real("learning_rate", parameters["learning_rate"], open_low=True)
    check_real("balance_momentum", parameters["balance_momentum"], high=1.0)


def check_views(views: Any, X: FloatArray) -> FloatArray:
    """Return views (n, n_views, d) as float32 if they describe the rows of X (n, d)."""
    array = np.asarray(views)
    if array.ndim != 3 or array.shape[0] != X.shape[0] or array.shape[2] != X.shape[1] or array.shape[1] < 2:
        raise ValueError(
            f"views has shape {array.shape}; for X of shape {X.shape} it must be "
            f"({X.shape[0]}, n_views, {X.shape[1]}) with two views or more."
        )
    return check_features(array.reshape(-1, X.shape[1]), name="views").reshape(array.shape)
