"""Published settings of TEMI, and where each comes from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_PAPER: Final = {  # section 4.1, table 10 and supplement C of arXiv:2303.17896
    "n_heads": 50,
    "objective": "temi",
    "beta": 0.6,
    "n_neighbors": 50,
    "include_self": False,
    "standardize": True,  # "we standardize the features of all models"
    "n_components": None,
    "init": "random",
    "n_epochs": 200,
    "batch_size": 512,
    "learning_rate": 1e-4,  # "base learning rate", for 256 rows
    "weight_decay": 1e-4,
    "warmup": 0.1,  # 20 of 200 epochs
    "schedule": "constant",
    "temperature": 0.1,
    "teacher_momentum": 0.996,
    "prior_momentum": 0.9,  # authors' code; the paper gives none
    "hidden_size": 512,  # authors' code; the paper says "three-layer"
    "bottleneck_size": 256,
    "weight_norm": True,
    "frozen_last_layer": 0.0,
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "fast": {},  # the constructor's defaults
        "paper": _PAPER,
        "paper-imagenet": _PAPER | {"n_neighbors": 25, "batch_size": 1024, "warmup": 0.05},  # section 4.1, table 10
        "paper-cifar20": _PAPER | {"beta": 0.55},  # table 10
        "paper-stl10": _PAPER | {"n_epochs": 800, "warmup": 0.025},  # table 10: 20 of 800 epochs
        # The README's CIFAR-10 command at c6a81a6: no --embed_norm; epoch 0 trains without the last layer.
        "official-code": _PAPER
        | {
            "n_heads": 16,
            "standardize": False,
            "n_epochs": 100,
            "batch_size": 1024,
            "warmup": 0.2,  # 20 of 100 epochs
            "frozen_last_layer": 0.01,
        },
        # As "official-code" where n > 80,000: there the code's mask misses the diagonal, so a row is its own neighbour.
        "official-code-imagenet": _PAPER
        | {
            "n_neighbors": 25,
            "include_self": True,
            "batch_size": 1024,
            "warmup": 0.05,
            "frozen_last_layer": 0.005,
        },
        # The README's over-clustering command, with the paper's beta; meant for n_clusters=25_000 on ImageNet.
        "overclustering": _PAPER
        | {
            "n_heads": 16,
            "beta": 1.0,
            "n_neighbors": 25,
            "include_self": True,
            "n_epochs": 100,
            "batch_size": 128,
            "warmup": 0.2,
            "frozen_last_layer": 0.01,
        },
    }
)
"""Keywords of the constructor by the name of their source."""
