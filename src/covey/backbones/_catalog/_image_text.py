"""Networks that learned pictures and texts together: CLIP, OpenCLIP, SigLIP 2, Perception Encoder.

No revision is pinned and no hash known: covey was built where none can be fetched. CLIP's row is the projection
into the space of texts, as TEMI, SCP and CPP take it, neither normalised nor standardised.
"""

from dataclasses import replace
from typing import Final

from covey.backbones._catalog._scales import HALF, OPENAI_MEAN, OPENAI_STD, text_sizes, vit_sizes
from covey.types import BackboneSpec

_WIT: Final = "WIT-400M: pictures of the web with their texts"
_LAION: Final = "LAION-2B: English pairs of the web"
_WEBLI: Final = "WebLI: 10 billion pictures of the web with texts of 109 languages"

# openai/CLIP, clip/clip.py: 224 px bicubic, centre 224.
CLIP_VITB32 = BackboneSpec(
    name="clip_vitb32.openai",
    loader="transformers",
    n_features=512,
    input_size=(224, 224),
    crop_fraction=1.0,
    interpolation="bicubic",
    mean=OPENAI_MEAN,
    std=OPENAI_STD,
    weights="hub:openai/clip-vit-base-patch32",
    license="MIT",
    paper="Radford et al. 2021, arXiv:2103.00020 (CLIP)",
    pretraining=_WIT,
    has_text=True,
    pooling="projection",
    architecture="clip",
    config={
        "projection_dim": 512,
        "vision_config": vit_sizes(768, 12, 12, 32, 224),
        "text_config": text_sizes(512, 12, 8),
    },
)
CLIP_VITB16 = replace(
    CLIP_VITB32,
    name="clip_vitb16.openai",
    weights="hub:openai/clip-vit-base-patch16",
    config={**CLIP_VITB32.config, "vision_config": vit_sizes(768, 12, 12, 16, 224)},
)
CLIP_VITL14 = replace(
    CLIP_VITB32,
    name="clip_vitl14.openai",
    weights="hub:openai/clip-vit-large-patch14",
    n_features=768,
    config={
        "projection_dim": 768,
        "vision_config": vit_sizes(1024, 24, 16, 14, 224),
        "text_config": text_sizes(768, 12, 12),
    },
)
# Modified ResNet with attention pooling, which transformers does not have.
CLIP_RESNET50 = replace(
    CLIP_VITB32,
    name="clip_resnet50.openai",
    loader="open_clip",
    weights="hub:timm/resnet50_clip.openai",
    n_features=1024,
    pooling="attention",
    architecture="RN50-quickgelu",
    config={},
)

# mlfoundations/open_clip, src/open_clip/pretrained.py: this one alone was trained with mean and deviation of 0.5.
CLIP_VITL14_LAION2B = replace(
    CLIP_VITL14,
    name="clip_vitl14.laion2b",
    weights="hub:laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    mean=HALF,
    std=HALF,
    paper="Ilharco et al. 2021, OpenCLIP; Schuhmann et al. 2022, arXiv:2210.08402 (LAION-5B)",
    pretraining=_LAION,
)
CLIP_VITB32_LAION2B = replace(
    CLIP_VITB32,
    name="clip_vitb32.laion2b",
    weights="hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    paper=CLIP_VITL14_LAION2B.paper,
    pretraining=_LAION,
)
CLIP_VITH14_LAION2B = replace(
    CLIP_VITB32_LAION2B,
    name="clip_vith14.laion2b",
    weights="hub:laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    n_features=1024,
    config={
        "projection_dim": 1024,
        "vision_config": vit_sizes(1280, 32, 16, 14, 224),
        "text_config": text_sizes(1024, 24, 16),
    },
)

# preprocessor_config.json of google/siglip2-base-patch16-512 and of copies of -224: squashed, bilinear (SigLIP 1 was
# bicubic), 0.5. config.json: model_type "siglip", 256,000 pieces of text.
SIGLIP2_VITB16 = BackboneSpec(
    name="siglip2_vitb16.webli",
    loader="transformers",
    n_features=768,
    input_size=(224, 224),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=HALF,
    std=HALF,
    weights="hub:google/siglip2-base-patch16-224",
    license="Apache-2.0",
    paper="Tschannen et al. 2025, arXiv:2502.14786 (SigLIP 2)",
    pretraining=_WEBLI,
    has_text=True,
    pooling="attention",
    is_squashed=True,
    architecture="siglip",
    config={
        "vision_config": vit_sizes(768, 12, 12, 16, 224),
        "text_config": {**text_sizes(768, 12, 12), "vocab_size": 256000},
    },
)
SIGLIP2_VITL16 = replace(
    SIGLIP2_VITB16,
    name="siglip2_vitl16_256.webli",
    weights="hub:google/siglip2-large-patch16-256",
    n_features=1024,
    input_size=(256, 256),
    config={
        "vision_config": vit_sizes(1024, 24, 16, 16, 256),
        "text_config": {**text_sizes(1024, 24, 16), "vocab_size": 256000},
    },
)
SIGLIP2_SO400M14 = replace(
    SIGLIP2_VITB16,
    name="siglip2_so400m14_384.webli",
    weights="hub:google/siglip2-so400m-patch14-384",
    n_features=1152,
    input_size=(384, 384),
    config={
        "vision_config": {**vit_sizes(1152, 27, 16, 14, 384), "intermediate_size": 4304},
        "text_config": {**text_sizes(1152, 27, 16), "intermediate_size": 4304, "vocab_size": 256000},
    },
)

# facebookresearch/perception_models, core/vision_encoder/transforms.py: squashed, bilinear, 0.5. timm's config.json of
# vit_pe_core_base_patch16_224.fb: 1024 outputs, attention pooling.
PE_CORE_VITB16 = BackboneSpec(
    name="pe_core_vitb16.meta",
    loader="open_clip",
    n_features=1024,
    input_size=(224, 224),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=HALF,
    std=HALF,
    weights="hub:timm/PE-Core-B-16",
    license="Apache-2.0",
    paper="Bolya et al. 2025, arXiv:2504.13181 (Perception Encoder)",
    pretraining="5.4 billion pictures of the web with texts, and videos",
    has_text=True,
    pooling="attention",
    is_squashed=True,
    architecture="PE-Core-B-16",
)
PE_CORE_VITL14 = replace(
    PE_CORE_VITB16,
    name="pe_core_vitl14_336.meta",
    weights="hub:timm/PE-Core-L-14-336",
    input_size=(336, 336),
    architecture="PE-Core-L-14-336",
)
