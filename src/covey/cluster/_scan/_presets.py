"""Published settings of SCAN's clustering step."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_PAPER: Final = {  # section 3.1 and supplement of arXiv:2005.12320, with what its configurations add
    "entropy_weight": 5.0,
    "include_self": True,
    "standardize": False,
    "schedule": "constant",
}
# Section 4.4: a linear layer on a frozen backbone. Fifty neighbours, and the row itself before them.
_IMAGENET: Final = _PAPER | {
    "n_heads": 10,
    "n_neighbors": 51,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 5.0,
    "weight_decay": 0.0,
    "n_epochs": 100,
}
# Section 3.1: there the whole network is trained with it. Twenty neighbours and the row itself.
_SMALL: Final = _PAPER | {
    "n_heads": 1,
    "n_neighbors": 21,
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "n_epochs": 50,
    "batch_size": 128,
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-small": _SMALL,
        "paper-cifar20": _SMALL | {"batch_size": 512},  # "official-code" of the same name
        "paper-imagenet": _IMAGENET | {"batch_size": 512},  # 50 and 100 classes
        "paper-imagenet200": _IMAGENET | {"batch_size": 1024},
    }
)
"""Keywords of the constructor by the name of their source."""
