"""Published settings of SCAN's clustering step."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

# The clustering step of arXiv:2005.12320 as the authors' configurations have it (configs/scan at 57dff92). Their lists
# of neighbours begin with the row itself: 21 and 51 partners for the paper's 20 and 50 neighbours.
_PAPER: Final = {
    "entropy_weight": 5.0,
    "include_self": True,
    "standardize": False,
    "schedule": "constant",
}
_IMAGENET: Final = _PAPER | {  # a linear layer on a frozen network
    "n_heads": 10,
    "n_neighbors": 51,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 5.0,
    "weight_decay": 0.0,
    "n_epochs": 100,
}
_SMALL: Final = _PAPER | {  # there the whole network learns
    "n_heads": 1,
    "n_neighbors": 21,
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "batch_size": 128,
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-small": _SMALL | {"n_epochs": 50},  # CIFAR-10
        "paper-stl10": _SMALL | {"n_epochs": 100},
        "paper-cifar20": _SMALL | {"n_epochs": 100, "batch_size": 512},
        "paper-imagenet": _IMAGENET | {"batch_size": 512},  # 50 classes
        "paper-imagenet200": _IMAGENET | {"batch_size": 1024},  # 100 and 200 classes
    }
)
"""Keywords of the constructor by the name of their source."""
