"""Networks that learned from labels, and one that a library other than transformers builds.

No revision is pinned and no hash known: covey was built where none can be fetched. Pictures are prepared as the
``config.json`` on the hub says.
"""

from dataclasses import replace
from typing import Final

from covey.backbones._catalog._scales import HALF, IMAGENET_MEAN, IMAGENET_STD, OPENAI_MEAN, OPENAI_STD, vit_sizes
from covey.types import BackboneSpec

_IN1K: Final = "ImageNet-1k, supervised"

# timm/resnet50.a1_in1k: the "resnet50" of TEMI's timm. 224 px of 235 (crop 0.95), bicubic.
RESNET50 = BackboneSpec(
    name="resnet50.a1_in1k",
    loader="transformers",
    n_features=2048,
    input_size=(224, 224),
    crop_fraction=0.95,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:timm/resnet50.a1_in1k",
    license="Apache-2.0",
    paper="He et al. 2016, arXiv:1512.03385 (ResNet); training: Wightman et al. 2021, arXiv:2110.00476",
    pretraining=_IN1K,
    pooling="mean",
    architecture="resnet",
    config={"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3], "embedding_size": 64},
)

# The authors' weights. TEMI takes torchvision's, which were trained anew, and leaves the last normalisation out.
CONVNEXT_SMALL = BackboneSpec(
    name="convnext_small.in1k",
    loader="transformers",
    n_features=768,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    weights="hub:facebook/convnext-small-224",
    license="Apache-2.0",
    paper="Liu et al. 2022, arXiv:2201.03545 (ConvNeXt)",
    pretraining=_IN1K,
    pooling="mean",
    architecture="convnext",
    config={"hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 27, 3]},
)
CONVNEXT_BASE = replace(
    CONVNEXT_SMALL,
    name="convnext_base.in1k",
    weights="hub:facebook/convnext-base-224",
    n_features=1024,
    config={"hidden_sizes": [128, 256, 512, 1024], "depths": [3, 3, 27, 3]},
)
CONVNEXT_LARGE = replace(
    CONVNEXT_SMALL,
    name="convnext_large.in1k",
    weights="hub:facebook/convnext-large-224",
    n_features=1536,
    config={"hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]},
)

# timm/vit_*_patch16_224.augreg_in21k_ft_in1k, config.json: crop 0.9, bicubic, 0.5. TEMI gives them ImageNet's mean and
# deviation instead.
VITS16 = BackboneSpec(
    name="vits16.augreg_in21k_ft_in1k",
    loader="transformers",
    n_features=384,
    input_size=(224, 224),
    crop_fraction=0.9,
    interpolation="bicubic",
    mean=HALF,
    std=HALF,
    weights="hub:timm/vit_small_patch16_224.augreg_in21k_ft_in1k",
    license="Apache-2.0",
    paper="Dosovitskiy et al. 2021, arXiv:2010.11929 (ViT); training: Steiner et al. 2022, arXiv:2106.10270",
    pretraining="ImageNet-21k, then ImageNet-1k, supervised",
    pooling="class token",
    architecture="vit",
    config={**vit_sizes(384, 12, 6, 16, 224), "layer_norm_eps": 1e-6},
)
VITB16 = replace(
    VITS16,
    name="vitb16.augreg_in21k_ft_in1k",
    weights="hub:timm/vit_base_patch16_224.augreg_in21k_ft_in1k",
    n_features=768,
    config={**vit_sizes(768, 12, 12, 16, 224), "layer_norm_eps": 1e-6},
)
VITL16 = replace(
    VITS16,
    name="vitl16.augreg_in21k_ft_in1k",
    weights="hub:timm/vit_large_patch16_224.augreg_in21k_ft_in1k",
    n_features=1024,
    config={**vit_sizes(1024, 24, 16, 16, 224), "layer_norm_eps": 1e-6},
)

# timm/eva02_large_patch14_224.mim_in22k, config.json: crop 0.9, bicubic, OpenAI's mean and deviation, mean of patches.
EVA02_VITL14 = BackboneSpec(
    name="eva02_vitl14.mim_in22k",
    loader="timm",
    n_features=1024,
    input_size=(224, 224),
    crop_fraction=0.9,
    interpolation="bicubic",
    mean=OPENAI_MEAN,
    std=OPENAI_STD,
    weights="hub:timm/eva02_large_patch14_224.mim_in22k",
    license="MIT",
    paper="Fang et al. 2023, arXiv:2303.11331 (EVA-02)",
    pretraining="ImageNet-22k without labels, with CLIP's features as targets",
    pooling="patch mean",
    architecture="eva02_large_patch14_224",
)
