"""Published settings of CPP, and where each comes from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_PAPER: Final = {  # tables 7 and 8 of arXiv:2306.05272, appendix C
    "code_size": 128,
    "hidden_size": 4096,
    "heads": "two",
    "gamma": 0.175,
    "n_half_steps": 5,
    "eps_squared": 0.1,  # appendix F
    "membership_penalty": 0.0,
    "n_columns": None,
    "standardize": False,
    "batch_size": 1024,
    "optimizer": "sgd",
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "cluster_weight_decay": 5e-3,
    "schedule": "constant",
    "n_epochs": 5,
    "warmup": 1 / 5,  # 1 of 5 epochs
}

# What the authors' code adds and the paper does not mention: 0.05 times one half.
_CODE: Final = _PAPER | {"membership_penalty": 0.025}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "paper-cifar10": _PAPER,
        "paper-cifar20": _PAPER | {"gamma": 0.13, "n_epochs": 15, "warmup": 1 / 15},
        "paper-cifar100": _PAPER | {"gamma": 0.1, "n_epochs": 50, "warmup": 1 / 50, "batch_size": 1500},
        "paper-imagenet": _PAPER
        | {"code_size": 1024, "hidden_size": 2048, "gamma": 0.12, "n_epochs": 20, "warmup": 2 / 20},
        "paper-coco": _PAPER | {"gamma": 0.12, "n_epochs": 20, "warmup": 1 / 20, "batch_size": 1200},
        "paper-laion": _PAPER
        | {"code_size": 1024, "hidden_size": 2048, "gamma": 0.09, "n_epochs": 20, "warmup": 2 / 20},
        # The README's CIFAR-10 command at cb39bdc: 15 epochs of 48 steps, of which 51 steps are warm-up.
        "official-code-cifar10": _CODE | {"n_epochs": 15, "warmup": 51 / 720},
        # Its ImageNet command, whose script trains one head: 20 epochs of 1,251 steps, 2,001 of them warm-up.
        "official-code-imagenet": _CODE
        | {
            "code_size": 1024,
            "hidden_size": 2048,
            "heads": "one",
            "gamma": 0.12,
            "n_epochs": 20,
            "warmup": 2001 / 25020,
        },
    }
)
"""Keywords of the constructor by the name of their source."""
