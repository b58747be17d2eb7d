"""Backbones: frozen networks that turn pixels into features.

Start reading at `catalog.toml`, where each backbone is a table, and at `load_backbone`, which turns it into a model. A
loader is one file; it reads the weights, if there are any, and picks a runtime. Nothing heavy is imported before a
backbone is loaded.
"""

from covey.backbones._loading import (
    PREPROCESSING_VERSION,
    export_backbone,
    feature_fingerprint,
    find_spec,
    load_backbone,
    load_torch_backbone,
    require_models,
)
from covey.backbones._model_files import ModelStatus, model_status, models_folder
from covey.backbones._registry import BACKBONES, LOADERS
from covey.backbones._taking_in import download_model, take_in_model

__all__ = [
    "BACKBONES",
    "LOADERS",
    "PREPROCESSING_VERSION",
    "ModelStatus",
    "download_model",
    "export_backbone",
    "feature_fingerprint",
    "find_spec",
    "load_backbone",
    "load_torch_backbone",
    "model_status",
    "models_folder",
    "require_models",
    "take_in_model",
]
