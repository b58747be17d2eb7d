"""Published settings of MMDC, and where each comes from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_PAPER: Final = {  # section IV-A of arXiv:1912.02678
    "trunk": "resnet18",
    "width": None,
    "input_size": 32,
    "crops": (20 / 32,),  # authors' code: crops of 20 pixels, scaled to 32
    "flip": True,
    "jitter": (0.4, 0.4, 0.4, 0.125),  # authors' code, as in IIC
    "grey": 0.2,
    "max_turn": 0.0,
    "targets": "mixture",
    "means": "one_hot",
    "target_dim": None,
    "sigma": 0.0,
    "rotation": True,
    "sobel": False,
    "n_epochs": 400,
    "batch_size": 128,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "decay_at": 350 / 400,
    "decay_factor": 1 / 5,
    "refine_at": None,  # table I: refinement for MNIST alone
}
_MNIST: Final = _PAPER | {
    "trunk": "small_vgg",
    "crops": (24 / 28, 20 / 28, 16 / 28),  # authors' code: of 28 pixels, scaled to 32
    "flip": False,
    "max_turn": 25.0,  # authors' code
    "rotation": False,
    "learning_rate": 0.01,  # "without the rotation loss" (IV-B); 0.05 does not converge on few pictures
    "n_epochs": 50,
    "decay_at": 40 / 50,
    "decay_factor": 1 / 10,
    "refine_at": 20 / 50,  # README; the paper: "after the main training is concluded"
}
_LARGE: Final = {"input_size": 64, "crops": (64 / 96,)}  # authors' code: 64 of 96 pixels, not scaled
_CODE: Final = {"decay_at": 300 / 400, "refine_at": 350 / 400}  # the README's commands at 9cd5eb0

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "fast": {},  # the constructor's defaults
        "paper-mnist": _MNIST,
        "paper-cifar10": _PAPER,
        "paper-cifar20": _PAPER | {"weight_decay": 1e-4},
        "paper-stl10": _PAPER | _LARGE,
        "paper-imagenet10": _PAPER | _LARGE,
        "paper-tiny-imagenet": _PAPER | {"input_size": 64, "crops": (40 / 64,), "weight_decay": 1e-4},
        # The README's commands decay earlier and refine at the end; table I has the numbers from before the refinement.
        "official-code-mnist": _MNIST,
        "official-code-cifar10": _PAPER | _CODE,
        "official-code-cifar20": _PAPER | _CODE | {"weight_decay": 1e-4},
        "official-code-stl10": _PAPER | _CODE | _LARGE,
        "official-code-imagenet10": _PAPER | _CODE | _LARGE,
        "official-code-tiny-imagenet": _PAPER | _CODE | {"input_size": 64, "crops": (40 / 64,), "weight_decay": 1e-4},
        # Table III on CIFAR-10: the learning rate "has to be reduced to 0.01" without rotations.
        "paper-sobel": _PAPER | {"sobel": True},
        "paper-no-rotation": _PAPER | {"rotation": False, "learning_rate": 0.01},
        "paper-no-rotation-sobel": _PAPER | {"rotation": False, "learning_rate": 0.01, "sobel": True},
        # Table IV: what the features of the two methods that MMDC joins are worth, on its own network.
        "nat": _PAPER | {"targets": "noise", "rotation": False, "learning_rate": 0.01, "target_dim": 128},
        "rotnet": _PAPER | {"targets": "none"},
        "nat-rotnet": _PAPER | {"targets": "noise", "target_dim": 128},
    }
)
