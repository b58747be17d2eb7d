"""The catalogue's rows: each builds with its real sizes, so that the first person with weights finds no typo."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from covey.backbones import BACKBONES, LOADERS
from covey.images import preprocess
from covey.types import BackboneSpec

ROWS = [name for name, spec in BACKBONES.items() if spec.loader == "transformers"]
PUBLISHED = [name for name, spec in BACKBONES.items() if spec.weights.startswith(("hub:", "file:"))]

TEMI_TABLE_12 = {
    "MAE ViT-B/16": "mae_vitb16.in1k",
    "MAE ViT-L/16": "mae_vitl16.in1k",
    "MAE ViT-H/16": "mae_vith14.in1k",
    "MOCOv3 ViT-S/16": "moco3_vits16.in1k",
    "MOCOv3 ViT-B/16": "moco3_vitb16.in1k",
    "DINO Resnet50": "dino_resnet50.in1k",
    "DINO ViT-S/16": "dino_vits16.in1k",
    "DINO ViT-B/16": "dino_vitb16.in1k",
    "MSN ViT-S/16": "msn_vits16.in1k",
    "MSN ViT-B/16": "msn_vitb16.in1k",
    "MSN ViT-L/16": "msn_vitl16.in1k",
    "CLIP Resnet50": "clip_resnet50.openai",
    "CLIP ViT-B/16": "clip_vitb16.openai",
    "CLIP ViT-L/14": "clip_vitl14.openai",
    "Resnet50": "resnet50.a1_in1k",
    "ConvNext S": "convnext_small.in1k",
    "ConvNext B": "convnext_base.in1k",
    "ConvNext L": "convnext_large.in1k",
    "ViT-S/16": "vits16.augreg_in21k_ft_in1k",
    "ViT-B/16": "vitb16.augreg_in21k_ft_in1k",
    "ViT-L/16": "vitl16.augreg_in21k_ft_in1k",
}
SCP_AND_CPP = ("clip_vitb32.openai", "clip_vitl14.openai", "clip_vitl14.laion2b", "dino_vitb8.in1k")

# Millions of parameters of the image network, from papers and model cards, without classifiers.
SIZES = {
    "dino_vits16.in1k": 21.7,
    "dino_vitb8.in1k": 85.8,
    "dino_resnet50.in1k": 23.5,
    "mae_vith14.in1k": 630.8,
    "dinov2_vits14.lvd142m": 22.1,
    "dinov2_vitg14.lvd142m": 1136.5,
    "dinov3_vits16.lvd1689m": 21.6,
    "dinov3_convnext_tiny.lvd1689m": 27.8,
    "convnext_large.in1k": 196.2,
    "clip_vitb32.openai": 87.8,
    "clip_vitl14.openai": 304.0,
    "siglip2_vitb16.webli": 92.9,
    "siglip2_so400m14_384.webli": 428.2,
}
# One of each architecture by default; the others are as quick, but there are forty.
QUICK = ("convnext_small.in1k", "dino_resnet50.in1k", "ijepa_vith14.in1k", "mae_vitb16.in1k", "msn_vits16.in1k")
QUICK += ("dino_vits16.in1k", "dinov2_vits14.lvd142m", "dinov2_reg_vitb14.lvd142m", "dinov3_vits16.lvd1689m")
QUICK += ("dinov3_convnext_tiny.lvd1689m", "clip_vitb32.openai", "siglip2_vitb16.webli")


def test_the_models_of_the_papers_are_there() -> None:
    assert len(TEMI_TABLE_12) == 21
    assert {*TEMI_TABLE_12.values(), *SCP_AND_CPP} <= set(BACKBONES)
    assert {BACKBONES[name].architecture for name in QUICK} == {BACKBONES[name].architecture for name in ROWS}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in ROWS if n not in QUICK)])
def test_a_row_builds_with_its_real_sizes(name: str, build_module: Callable[..., nn.Module]) -> None:
    """Shapes alone: on the device "meta" a giant takes no memory."""
    spec = BACKBONES[name]
    module = build_module(spec, device="meta")
    with torch.no_grad():
        features = module(torch.zeros((2, 3, *spec.input_size), device="meta"))
    assert features.shape == (2, spec.n_features)
    n_million = sum(parameter.numel() for parameter in module.parameters()) / 1e6
    if name in SIZES:
        assert n_million == pytest.approx(SIZES[name], abs=0.1)
    if spec.architecture in ("vit", "vit_mae", "vit_msn", "clip", "siglip", "ijepa"):
        vision = spec.config.get("vision_config", spec.config)
        assert vision["image_size"] == spec.input_size[0]
        assert vision["hidden_size"] % vision["num_attention_heads"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["dino_vits16.in1k", "dinov2_vits14.lvd142m", "dinov3_vits16.lvd1689m", "clip_vitb32.openai", *SCP_AND_CPP[1:2]],
)
def test_a_row_runs_with_its_real_sizes(name: str, build_module: Callable[..., nn.Module]) -> None:
    spec = BACKBONES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build_module(spec)
    with torch.inference_mode():
        features = module(torch.randn((2, 3, *spec.input_size), generator=torch.Generator().manual_seed(0)))
    assert features.shape == (2, spec.n_features)
    assert features.isfinite().all()
    assert (features[0] - features[1]).abs().max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ROWS if BACKBONES[name].has_text])
def test_a_text_tower_builds_with_its_real_sizes(name: str) -> None:
    import transformers

    from covey.backbones._transformers import ARCHITECTURES
    from covey.backbones._transformers._modules import make_config, quiet, text_config

    spec = BACKBONES[name]
    with quiet(), torch.device("meta"):
        tower = getattr(transformers, ARCHITECTURES[spec.architecture].text)(text_config(make_config(spec)))
        output = tower(input_ids=torch.zeros((2, 8), dtype=torch.int64, device="meta"))
    rows = output.pooler_output if spec.architecture == "siglip" else output.text_embeds
    assert rows.shape == (2, spec.n_features)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_a_row_says_everything(name: str) -> None:
    spec = BACKBONES[name]
    assert spec.loader in LOADERS
    assert spec.paper
    assert spec.pretraining
    assert 0 < spec.crop_fraction <= 1
    assert all(0 <= channel <= 255 for channel in (*spec.mean, *spec.std))
    assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)?", name)
    if name in PUBLISHED:
        assert spec.license
        assert spec.pooling
        assert spec.architecture
        assert spec.sha256 == spec.revision == ""  # what nobody could look up here is not made up
        assert re.fullmatch(r"hub:[\w.-]+/[\w.-]+|file:https://[\w./-]+", spec.weights)


def test_no_two_rows_name_the_same_weights() -> None:
    assert len({BACKBONES[name].weights for name in PUBLISHED}) == len(PUBLISHED)


def processor_of(spec: BackboneSpec):  # type: ignore[no-untyped-def]
    """Make the library's own processor, without torchvision, with the row's numbers."""
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    height, width = spec.input_size
    words = {"image_mean": [m / 255 for m in spec.mean], "image_std": [s / 255 for s in spec.std]}
    words["resample"] = {"bilinear": 2, "bicubic": 3}[spec.interpolation]
    if spec.is_squashed:
        return ViTImageProcessorPil(size={"height": height, "width": width}, **words)
    side = round(height / spec.crop_fraction)
    return BitImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": height, "width": width}, **words)


def geometries() -> dict[str, BackboneSpec]:
    """One row for each way of preparing pictures that the catalogue has."""
    rows = {}
    for name in PUBLISHED:
        spec = BACKBONES[name]
        rows.setdefault((spec.input_size, spec.crop_fraction, spec.interpolation, spec.is_squashed, spec.mean), name)
    return {name: BACKBONES[name] for name in rows.values()}


@pytest.mark.parametrize("name", list(geometries()))
def test_pictures_are_prepared_as_by_the_librarys_processor(name: str) -> None:
    from PIL import Image

    spec = BACKBONES[name]
    processor = processor_of(spec)
    rng = np.random.default_rng(0)
    side = round(spec.input_size[0] / spec.crop_fraction)
    for width, height in ((2 * side, 2 * side), (2 * side, 3 * side), (side + side // 2 * 2, side)):
        coarse = rng.integers(30, 226, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        expected = np.asarray(processor(image)["pixel_values"][0]).transpose(1, 2, 0)
        found = (preprocess(image, spec) - np.array(spec.mean)) / np.array(spec.std)
        assert found.shape == expected.shape
        difference = np.abs(found - expected) * np.array(spec.std)
        assert difference.max() < 2.01  # grey levels: the rounding between Pillow's two passes
        assert difference.mean() < 0.1


def test_squashing_shows_the_whole_picture_and_cropping_does_not() -> None:
    from PIL import Image

    image = Image.fromarray(np.repeat(np.arange(120, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2))
    squashed = replace(BACKBONES["siglip2_vitb16.webli"], input_size=(30, 30))
    cropped = replace(squashed, is_squashed=False)
    assert np.ptp(preprocess(image, squashed)) > 110
    assert np.ptp(preprocess(image, cropped)) < 65
