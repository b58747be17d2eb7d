"""Backbones: frozen networks that turn pixels into features.

Start reading at `_catalog`, where each backbone is a row, and at `load_backbone`, which turns a row into a model. A
loader is one file; it reads the weights, if there are any, and picks a runtime. Nothing heavy is imported before a
backbone is loaded.
"""

from covey.backbones._loading import (
    LOADERS,
    PREPROCESSING_VERSION,
    export_backbone,
    feature_fingerprint,
    find_spec,
    load_backbone,
    load_torch_backbone,
    require_models,
)
from covey.backbones._model_files import ModelStatus, model_status, models_folder
from covey.backbones._taking_in import download_model, take_in_model
from covey.registry import Registry

BACKBONES = Registry(
    "backbone",
    "covey.backbones",
    {
        "efficientnet_lite0.in1k": "covey.backbones._catalog._embedded:EFFICIENTNET_LITE0",
        "efficientnet_lite2.in1k": "covey.backbones._catalog._embedded:EFFICIENTNET_LITE2",
        "color_histogram": "covey.backbones._catalog._embedded:COLOR_HISTOGRAM",
        "random_patches": "covey.backbones._catalog._embedded:RANDOM_PATCHES",
        "mae_vitb16.in1k": "covey.backbones._catalog._self_supervised:MAE_VITB16",
        "mae_vitl16.in1k": "covey.backbones._catalog._self_supervised:MAE_VITL16",
        "mae_vith14.in1k": "covey.backbones._catalog._self_supervised:MAE_VITH14",
        "moco3_vits16.in1k": "covey.backbones._catalog._self_supervised:MOCO3_VITS16",
        "moco3_vitb16.in1k": "covey.backbones._catalog._self_supervised:MOCO3_VITB16",
        "dino_vits16.in1k": "covey.backbones._catalog._self_supervised:DINO_VITS16",
        "dino_vits8.in1k": "covey.backbones._catalog._self_supervised:DINO_VITS8",
        "dino_vitb16.in1k": "covey.backbones._catalog._self_supervised:DINO_VITB16",
        "dino_vitb8.in1k": "covey.backbones._catalog._self_supervised:DINO_VITB8",
        "dino_resnet50.in1k": "covey.backbones._catalog._self_supervised:DINO_RESNET50",
        "msn_vits16.in1k": "covey.backbones._catalog._self_supervised:MSN_VITS16",
        "msn_vitb16.in1k": "covey.backbones._catalog._self_supervised:MSN_VITB16",
        "msn_vitl16.in1k": "covey.backbones._catalog._self_supervised:MSN_VITL16",
        "ijepa_vith14.in1k": "covey.backbones._catalog._self_supervised:IJEPA_VITH14",
        "dinov2_vits14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_VITS14",
        "dinov2_vitb14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_VITB14",
        "dinov2_vitl14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_VITL14",
        "dinov2_vitg14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_VITG14",
        "dinov2_reg_vitb14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_REG_VITB14",
        "dinov2_reg_vitl14.lvd142m": "covey.backbones._catalog._self_supervised:DINOV2_REG_VITL14",
        "dinov3_vits16.lvd1689m": "covey.backbones._catalog._self_supervised:DINOV3_VITS16",
        "dinov3_vitb16.lvd1689m": "covey.backbones._catalog._self_supervised:DINOV3_VITB16",
        "dinov3_vitl16.lvd1689m": "covey.backbones._catalog._self_supervised:DINOV3_VITL16",
        "dinov3_convnext_tiny.lvd1689m": "covey.backbones._catalog._self_supervised:DINOV3_CONVNEXT_TINY",
        "dinov3_convnext_base.lvd1689m": "covey.backbones._catalog._self_supervised:DINOV3_CONVNEXT_BASE",
        "clip_vitb32.openai": "covey.backbones._catalog._image_text:CLIP_VITB32",
        "clip_vitb16.openai": "covey.backbones._catalog._image_text:CLIP_VITB16",
        "clip_vitl14.openai": "covey.backbones._catalog._image_text:CLIP_VITL14",
        "clip_resnet50.openai": "covey.backbones._catalog._image_text:CLIP_RESNET50",
        "clip_vitl14.laion2b": "covey.backbones._catalog._image_text:CLIP_VITL14_LAION2B",
        "clip_vitb32.laion2b": "covey.backbones._catalog._image_text:CLIP_VITB32_LAION2B",
        "clip_vith14.laion2b": "covey.backbones._catalog._image_text:CLIP_VITH14_LAION2B",
        "siglip2_vitb16.webli": "covey.backbones._catalog._image_text:SIGLIP2_VITB16",
        "siglip2_vitl16_256.webli": "covey.backbones._catalog._image_text:SIGLIP2_VITL16",
        "siglip2_so400m14_384.webli": "covey.backbones._catalog._image_text:SIGLIP2_SO400M14",
        "pe_core_vitb16.meta": "covey.backbones._catalog._image_text:PE_CORE_VITB16",
        "pe_core_vitl14_336.meta": "covey.backbones._catalog._image_text:PE_CORE_VITL14",
        "resnet50.a1_in1k": "covey.backbones._catalog._supervised:RESNET50",
        "convnext_small.in1k": "covey.backbones._catalog._supervised:CONVNEXT_SMALL",
        "convnext_base.in1k": "covey.backbones._catalog._supervised:CONVNEXT_BASE",
        "convnext_large.in1k": "covey.backbones._catalog._supervised:CONVNEXT_LARGE",
        "vits16.augreg_in21k_ft_in1k": "covey.backbones._catalog._supervised:VITS16",
        "vitb16.augreg_in21k_ft_in1k": "covey.backbones._catalog._supervised:VITB16",
        "vitl16.augreg_in21k_ft_in1k": "covey.backbones._catalog._supervised:VITL16",
        "eva02_vitl14.mim_in22k": "covey.backbones._catalog._supervised:EVA02_VITL14",
    },
)

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
