"""Networks that learned from pictures alone: MAE, MoCo v3, DINO, MSN, I-JEPA, DINOv2, DINOv3.

No revision is pinned and no hash known: covey was built where none can be fetched. Pictures are prepared as the
authors' own evaluation does it, which the comment of a family names; the processors on the hub often only squash.
"""

from dataclasses import replace
from typing import Final

from covey.backbones._catalog._scales import IMAGENET_MEAN, IMAGENET_STD, vit_sizes
from covey.types import BackboneSpec

_IN1K: Final = "ImageNet-1k without labels"

# facebookresearch/mae, main_linprobe.py: 256 px bicubic, centre 224, class token (the paper's linear probing).
MAE_VITB16 = BackboneSpec(
    name="mae_vitb16.in1k",
    loader="transformers",
    n_features=768,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/vit-mae-base",
    license="CC-BY-NC-4.0 (facebookresearch/mae); the hub says Apache-2.0",
    paper="He et al. 2022, arXiv:2111.06377 (MAE)",
    pretraining=_IN1K,
    pooling="class token",
    architecture="vit_mae",
    config=vit_sizes(768, 12, 12, 16, 224),
)
MAE_VITL16 = replace(
    MAE_VITB16,
    name="mae_vitl16.in1k",
    weights="hub:facebook/vit-mae-large",
    n_features=1024,
    config=vit_sizes(1024, 24, 16, 16, 224),
)
# TEMI's table calls it H/16; its code loads the authors' H/14, and there is no other.
MAE_VITH14 = replace(
    MAE_VITB16,
    name="mae_vith14.in1k",
    weights="hub:facebook/vit-mae-huge",
    n_features=1280,
    config=vit_sizes(1280, 32, 16, 14, 224),
)

# facebookresearch/moco-v3, main_lincls.py: 256 px bilinear, centre 224, class token of the base encoder. Its ViT-S has
# 12 heads; TEMI's code loads it into timm's ViT-S of 6 heads, so the low numbers of the paper are of another network.
MOCO3_VITS16 = BackboneSpec(
    name="moco3_vits16.in1k",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bilinear",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="file:https://dl.fbaipublicfiles.com/moco-v3/vit-s-300ep/vit-s-300ep.pth.tar",
    license="CC-BY-NC-4.0",
    paper="Chen, Xie and He 2021, arXiv:2104.02057 (MoCo v3)",
    pretraining=_IN1K,
    pooling="class token",
    architecture="vit",
    config={**vit_sizes(384, 12, 12, 16, 224), "layer_norm_eps": 1e-6},
)
MOCO3_VITB16 = replace(
    MOCO3_VITS16,
    name="moco3_vitb16.in1k",
    weights="file:https://dl.fbaipublicfiles.com/moco-v3/vit-b-300ep/vit-b-300ep.pth.tar",
    n_features=768,
    config={**vit_sizes(768, 12, 12, 16, 224), "layer_norm_eps": 1e-6},
)

# facebookresearch/dino, eval_knn.py: 256 px bicubic, centre 224, class token.
DINO_VITS16 = BackboneSpec(
    name="dino_vits16.in1k",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/dino-vits16",
    license="Apache-2.0",
    paper="Caron et al. 2021, arXiv:2104.14294 (DINO)",
    pretraining=_IN1K,
    pooling="class token",
    architecture="vit",
    config={**vit_sizes(384, 12, 6, 16, 224), "layer_norm_eps": 1e-6},
)
DINO_VITS8 = replace(
    DINO_VITS16,
    name="dino_vits8.in1k",
    weights="hub:facebook/dino-vits8",
    config={**vit_sizes(384, 12, 6, 8, 224), "layer_norm_eps": 1e-6},
)
DINO_VITB16 = replace(
    DINO_VITS16,
    name="dino_vitb16.in1k",
    weights="hub:facebook/dino-vitb16",
    n_features=768,
    config={**vit_sizes(768, 12, 12, 16, 224), "layer_norm_eps": 1e-6},
)
DINO_VITB8 = replace(
    DINO_VITS16,
    name="dino_vitb8.in1k",
    weights="hub:facebook/dino-vitb8",
    n_features=768,
    config={**vit_sizes(768, 12, 12, 8, 224), "layer_norm_eps": 1e-6},
)
DINO_RESNET50 = replace(
    DINO_VITS16,
    name="dino_resnet50.in1k",
    weights="file:https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",
    n_features=2048,
    pooling="mean",
    architecture="resnet",
    config={"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3], "embedding_size": 64},
)

# facebookresearch/msn, logistic_eval.py: 256 px bilinear, centre 224, class token of the last block.
MSN_VITS16 = BackboneSpec(
    name="msn_vits16.in1k",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bilinear",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/vit-msn-small",
    license="CC-BY-NC-4.0 (facebookresearch/msn); the hub says Apache-2.0",
    paper="Assran et al. 2022, arXiv:2204.07141 (MSN)",
    pretraining=_IN1K,
    pooling="class token",
    architecture="vit_msn",
    config=vit_sizes(384, 12, 6, 16, 224),
)
MSN_VITB16 = replace(
    MSN_VITS16,
    name="msn_vitb16.in1k",
    weights="hub:facebook/vit-msn-base",
    n_features=768,
    config=vit_sizes(768, 12, 12, 16, 224),
)
MSN_VITL16 = replace(
    MSN_VITS16,
    name="msn_vitl16.in1k",
    weights="hub:facebook/vit-msn-large",
    n_features=1024,
    config=vit_sizes(1024, 24, 16, 16, 224),
)

# The paper evaluates the mean of the patches; pictures as in MAE's evaluation, which it follows.
IJEPA_VITH14 = BackboneSpec(
    name="ijepa_vith14.in1k",
    loader="transformers",
    n_features=1280,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/ijepa_vith14_1k",
    license="CC-BY-NC-4.0",
    paper="Assran et al. 2023, arXiv:2301.08243 (I-JEPA)",
    pretraining=_IN1K,
    pooling="patch mean",
    architecture="ijepa",
    config=vit_sizes(1280, 32, 16, 14, 224),
)

# preprocessor_config.json of the hub and facebookresearch/dinov2, data/transforms.py: 256 px bicubic, centre 224.
# Position embeddings were trained at 518 px (37 x 37 patches) and are interpolated to the picture's 16 x 16.
DINOV2_VITS14 = BackboneSpec(
    name="dinov2_vits14.lvd142m",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/dinov2-small",
    license="Apache-2.0",
    paper="Oquab et al. 2024, arXiv:2304.07193 (DINOv2)",
    pretraining="LVD-142M without labels: pictures like those of ImageNet-1k, ImageNet-22k, Landmarks and others",
    pooling="class token",
    architecture="dinov2",
    config={
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "mlp_ratio": 4,
        "patch_size": 14,
        "image_size": 518,
    },
)
DINOV2_VITB14 = replace(
    DINOV2_VITS14,
    name="dinov2_vitb14.lvd142m",
    weights="hub:facebook/dinov2-base",
    n_features=768,
    config={**DINOV2_VITS14.config, "hidden_size": 768, "num_attention_heads": 12},
)
DINOV2_VITL14 = replace(
    DINOV2_VITS14,
    name="dinov2_vitl14.lvd142m",
    weights="hub:facebook/dinov2-large",
    n_features=1024,
    config={**DINOV2_VITS14.config, "hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24},
)
DINOV2_VITG14 = replace(
    DINOV2_VITS14,
    name="dinov2_vitg14.lvd142m",
    weights="hub:facebook/dinov2-giant",
    n_features=1536,
    config={
        **DINOV2_VITS14.config,
        "hidden_size": 1536,
        "num_attention_heads": 24,
        "num_hidden_layers": 40,
        "use_swiglu_ffn": True,
    },
)
# With registers: Darcet et al. 2024, arXiv:2309.16588.
DINOV2_REG_VITB14 = replace(
    DINOV2_VITB14,
    name="dinov2_reg_vitb14.lvd142m",
    weights="hub:facebook/dinov2-with-registers-base",
    architecture="dinov2_with_registers",
    config={**DINOV2_VITB14.config, "num_register_tokens": 4},
)
DINOV2_REG_VITL14 = replace(
    DINOV2_VITL14,
    name="dinov2_reg_vitl14.lvd142m",
    weights="hub:facebook/dinov2-with-registers-large",
    architecture="dinov2_with_registers",
    config={**DINOV2_VITL14.config, "num_register_tokens": 4},
)

# facebookresearch/dinov3, README, and the library's processor: squashed to 224 px, bilinear.
DINOV3_VITS16 = BackboneSpec(
    name="dinov3_vits16.lvd1689m",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/dinov3-vits16-pretrain-lvd1689m",
    license="DINOv3 License (to be accepted on the hub)",
    paper="Simeoni et al. 2025, arXiv:2508.10104 (DINOv3)",
    pretraining="LVD-1689M without labels: pictures of the web, ImageNet-1k among them",
    pooling="class token",
    is_squashed=True,
    architecture="dinov3_vit",
    config={**vit_sizes(384, 12, 6, 16, 224), "num_register_tokens": 4},
)
DINOV3_VITB16 = replace(
    DINOV3_VITS16,
    name="dinov3_vitb16.lvd1689m",
    weights="hub:facebook/dinov3-vitb16-pretrain-lvd1689m",
    n_features=768,
    config={**vit_sizes(768, 12, 12, 16, 224), "num_register_tokens": 4},
)
DINOV3_VITL16 = replace(
    DINOV3_VITS16,
    name="dinov3_vitl16.lvd1689m",
    weights="hub:facebook/dinov3-vitl16-pretrain-lvd1689m",
    n_features=1024,
    config={**vit_sizes(1024, 24, 16, 16, 224), "num_register_tokens": 4},
)
DINOV3_CONVNEXT_TINY = replace(
    DINOV3_VITS16,
    name="dinov3_convnext_tiny.lvd1689m",
    weights="hub:facebook/dinov3-convnext-tiny-pretrain-lvd1689m",
    n_features=768,
    pooling="mean",
    architecture="dinov3_convnext",
    config={"hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 9, 3]},
)
DINOV3_CONVNEXT_BASE = replace(
    DINOV3_CONVNEXT_TINY,
    name="dinov3_convnext_base.lvd1689m",
    weights="hub:facebook/dinov3-convnext-base-pretrain-lvd1689m",
    n_features=1024,
    config={"hidden_sizes": [128, 256, 512, 1024], "depths": [3, 3, 27, 3]},
)
