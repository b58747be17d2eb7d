"""Files as authors published them: translated, they compute what a plain reading of their layout computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from covey.backbones import BACKBONES
from covey.backbones._transformers import load_transformers
from covey.errors import ModelError
from covey.types import BackboneSpec, ByteArray

WIDTH, DEPTH, N_HEADS, PATCH, SIZE = 24, 2, 3, 8, 32
Tensors = dict[str, torch.Tensor]
WORDS = {"device": "cpu", "precision": "float32", "runtime": "torch"}

VIT = replace(
    BACKBONES["moco3_vits16.in1k"],
    name="tiny",
    n_features=WIDTH,
    input_size=(SIZE, SIZE),
    config={
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": N_HEADS,
        "intermediate_size": 4 * WIDTH,
        "patch_size": PATCH,
        "image_size": SIZE,
        "layer_norm_eps": 1e-6,
    },
)
STAGES = [8, 16, 24, 32]
RESNET = replace(
    BACKBONES["dino_resnet50.in1k"],
    name="tiny",
    n_features=STAGES[-1],
    input_size=(SIZE, SIZE),
    config={"hidden_sizes": STAGES, "depths": [2, 1, 1, 1], "embedding_size": 6},
)


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def pixels() -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)


def normalize(pixels: ByteArray, spec: BackboneSpec) -> torch.Tensor:
    x = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    return x.permute(0, 3, 1, 2)


def timm_vit(draw: torch.Generator) -> Tensors:
    """Draw the tensors of a ViT in timm's layout."""
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + (SIZE // PATCH) ** 2, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    parts = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
    parts |= {"mlp.fc1": (4 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 4 * WIDTH)}
    for block in range(DEPTH):
        for part, shape in parts.items():
            shapes |= {f"blocks.{block}.{part}.weight": shape, f"blocks.{block}.{part}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{norm}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    return {name: 0.3 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def run_timm_vit(state: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Compute the class token, straight from the paper's equations 1 to 4 and timm's names."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    x = functional.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], PATCH)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], dim=1) + state["pos_embed"]
    for block in range(DEPTH):
        name = f"blocks.{block}"
        q, k, v = linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv").chunk(3, dim=-1)
        heads = []
        for h in range(N_HEADS):
            part = slice(h * WIDTH // N_HEADS, (h + 1) * WIDTH // N_HEADS)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / (WIDTH // N_HEADS) ** 0.5
            heads.append(scores.softmax(dim=-1) @ v[..., part])
        x = x + linear(torch.cat(heads, dim=-1), f"{name}.attn.proj")
        hidden = functional.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
        x = x + linear(hidden, f"{name}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def torchvision_resnet(draw: torch.Generator) -> Tensors:
    """Draw the tensors of a ResNet with bottlenecks in torchvision's layout."""
    shapes = {"conv1": (6, 3, 7, 7)}
    n_in = 6
    for stage, (width, depth) in enumerate(zip(STAGES, RESNET.config["depths"], strict=True)):
        for block in range(depth):
            name, inner = f"layer{stage + 1}.{block}", width // 4
            shapes |= {f"{name}.conv1": (inner, n_in, 1, 1), f"{name}.conv2": (inner, inner, 3, 3)}
            shapes |= {f"{name}.conv3": (width, inner, 1, 1)}
            if block == 0:
                shapes |= {f"{name}.downsample.0": (width, n_in, 1, 1)}
            n_in = width
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=draw) / (shape[1] * shape[2] ** 2) ** 0.5
        norm = f"{name[:-1]}1" if "downsample" in name else name.replace("conv", "bn")
        state[f"{norm}.weight"] = 1 + 0.1 * torch.randn(shape[0], generator=draw)
        state[f"{norm}.bias"] = 0.1 * torch.randn(shape[0], generator=draw)
        state[f"{norm}.running_mean"] = 0.1 * torch.randn(shape[0], generator=draw)
        state[f"{norm}.running_var"] = 0.5 + torch.rand(shape[0], generator=draw)
    return state


def run_torchvision_resnet(state: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Compute the pooled features; the stride is that of the 3 x 3 convolution."""

    def unit(x: torch.Tensor, conv: str, norm: str, stride: int, padding: int) -> torch.Tensor:
        x = functional.conv2d(x, state[f"{conv}.weight"], stride=stride, padding=padding)
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts)

    x = functional.max_pool2d(unit(x, "conv1", "bn1", 2, 3).relu(), 3, 2, 1)
    for stage, depth in enumerate(RESNET.config["depths"]):
        for block in range(depth):
            name, stride = f"layer{stage + 1}.{block}", 2 if block == 0 and stage > 0 else 1
            y = unit(x, f"{name}.conv1", f"{name}.bn1", 1, 0).relu()
            y = unit(y, f"{name}.conv2", f"{name}.bn2", stride, 1).relu()
            y = unit(y, f"{name}.conv3", f"{name}.bn3", 1, 0)
            skip = unit(x, f"{name}.downsample.0", f"{name}.downsample.1", stride, 0) if block == 0 else x
            x = (y + skip).relu()
    return x.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("prefix", "container"),
    [
        ("", None),  # timm, DINO
        ("module.base_encoder.", "state_dict"),  # MoCo v3
        ("", "model"),  # MAE
        ("module.", "target_encoder"),  # MSN
        ("backbone.", "teacher"),  # DINO's full checkpoint
    ],
)
def test_a_vit_of_timms_layout_is_translated(
    prefix: str, container: str | None, draw: torch.Generator, tmp_path: Path, pixels: ByteArray
) -> None:
    state = timm_vit(draw)
    kept = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    kept |= {f"{prefix}head.weight": torch.ones(9, WIDTH), "decoder_embed.weight": torch.ones(4)}
    if prefix == "module.base_encoder.":
        kept |= {f"module.momentum_encoder.{name}": torch.zeros_like(tensor) for name, tensor in state.items()}
    path = tmp_path / "vit.pth.tar"
    torch.save({container: kept, "epoch": 300, "optimizer": {"lr": 0.1}} if container else kept, path)
    features = load_transformers(VIT, weights=path, **WORDS).encode_images(pixels)
    expected = run_timm_vit(state, normalize(pixels, VIT)).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_a_resnet_of_torchvisions_layout_is_translated(
    draw: torch.Generator, tmp_path: Path, pixels: ByteArray
) -> None:
    from safetensors.torch import save_file

    state = torchvision_resnet(draw)
    save_file({**state, "fc.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"architecture": "resnet50"}', encoding="utf-8")  # timm's, on the hub
    features = load_transformers(RESNET, weights=tmp_path, **WORDS).encode_images(pixels)
    expected = run_torchvision_resnet(state, normalize(pixels, RESNET)).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_the_hubs_older_names_are_understood(draw: torch.Generator, tmp_path: Path, pixels: ByteArray) -> None:
    """The files on the hub were saved years ago, by releases that gave the tensors other names."""
    from covey.backbones._transformers._published_checkpoints import _rename_vit

    state = timm_vit(draw)
    older = _rename_vit(state)
    assert "encoder.layer.0.attention.attention.query.weight" in older
    torch.save(older, tmp_path / "pytorch_model.bin")
    features = load_transformers(VIT, weights=tmp_path / "pytorch_model.bin", **WORDS).encode_images(pixels)
    expected = run_timm_vit(state, normalize(pixels, VIT)).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("blocks.1.norm2.bias"), "1 tensors are missing and 0 have another shape"),
        (lambda state: state.update({"norm.bias": torch.ones(7)}), "0 tensors are missing and 1 have another shape"),
        (lambda state: (state.clear(), state.update({"a.b": torch.ones(1)})), "38 tensors are missing"),
    ],
    ids=["missing", "shape", "other"],
)
def test_other_tensors_are_refused(change, message: str, draw: torch.Generator, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state = timm_vit(draw)
    change(state)
    path = tmp_path / "vit.pth"
    torch.save(state, path)
    with pytest.raises(ModelError, match=message):
        load_transformers(VIT, weights=path, **WORDS)


def test_files_of_no_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vit.pth"
    for content in (b"", b"nothing of the kind", b"version https://git-lfs.github.com/spec/v1\n"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"vit\.pth"):
            load_transformers(VIT, weights=path, **WORDS)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match=r"vit\.pth"):
        load_transformers(VIT, weights=path, **WORDS)


def test_weights_alone_do_not_make_a_model_with_texts(tmp_path: Path) -> None:
    path = tmp_path / "clip.pth"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(ModelError, match=r"give its folder, with config\.json"):
        load_transformers(BACKBONES["clip_vitb32.openai"], weights=path, **WORDS)
