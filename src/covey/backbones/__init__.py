"""Backbones: frozen networks that turn pixels into features.

Start reading at `_catalog`, where each backbone is a row, and at `load_backbone`, which turns a row into a model. A
loader is one file; it reads the weights, if there are any, and picks a runtime. Nothing heavy is imported before a
backbone is loaded.
"""

from covey.backbones._loading import (
    LOADERS,
    PREPROCESSING_VERSION,
    feature_fingerprint,
    load_backbone,
    load_torch_backbone,
)
from covey.registry import Registry

BACKBONES = Registry(
    "backbone",
    "covey.backbones",
    {
        "efficientnet_lite0.in1k": "covey.backbones._catalog._embedded:EFFICIENTNET_LITE0",
        "efficientnet_lite2.in1k": "covey.backbones._catalog._embedded:EFFICIENTNET_LITE2",
        "color_histogram": "covey.backbones._catalog._embedded:COLOR_HISTOGRAM",
        "random_patches": "covey.backbones._catalog._embedded:RANDOM_PATCHES",
    },
)

__all__ = [
    "BACKBONES",
    "LOADERS",
    "PREPROCESSING_VERSION",
    "feature_fingerprint",
    "load_backbone",
    "load_torch_backbone",
]
