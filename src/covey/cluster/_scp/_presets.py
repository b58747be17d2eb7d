"""Published settings of SCP."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_PAPER: Final = {  # section 4.1.2 of arXiv:2502.04226
    "hidden_sizes": (1024, 786, 512, 1024),
    "activation": "relu",  # the paper says "non-linear"; the work that it builds on has ReLU
    "norm": "none",
    "scaling": "none",
    "alpha": 1.0,
    "confidence": "log_of_mean",  # eq. 4 as printed
    "balance_momentum": 0.0,
    "init": "random",
    "n_epochs": 30,
    "batch_size": 512,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "cosine",
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-cifar10": _PAPER,
        "paper-stl10": _PAPER,
        "paper-imagenet10": _PAPER,
        "paper-cifar20": _PAPER | {"alpha": 2.0},
        # Figure 2 counts 77 steps an epoch for 19,500 images, which is a batch of 256 and not the 512 of the text.
        "paper-imagenet-dogs": _PAPER | {"alpha": 2.0},
        "paper-cifar100": _PAPER | {"alpha": 3.0},
    }
)
"""Keywords of the constructor by the name of their source."""
