"""Fixtures for every test: no network, a home of its own, drawn pictures, and the real data where it is."""

import json
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# As the command line does, before anything loads torch: threads that spin starve each other on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("COVEY_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing leave this machine; the loopback stays open for browser tests."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            pytest.fail(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session", autouse=True)
def _no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the models that a developer happens to have play no part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVEY_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Return a function that gives the path of a real data file, or skips the test."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"needs the data file {name}; set COVEY_DATA to the folder that holds it")
        return path

    return find


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory, data_file: Callable[[str], Path]) -> Callable[[str], Path]:
    """Return a function that unpacks an archive of the real data once a session and gives its folder."""
    folders: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in folders:
            folder = tmp_path_factory.mktemp(Path(name).stem)
            with tarfile.open(data_file(name)) as archive:
                archive.extractall(folder, filter="data")
            folders[name] = folder
        return folders[name]

    return unpack


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Return a folder of 24 drawn pictures in three groups that any backbone can tell apart."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    bases = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    for name, base in bases.items():
        for i in range(8):
            noise = draw.integers(-25, 25, size=(48, 64, 3))
            pixels = np.clip(np.array(base) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{i}.png")
    return folder


_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_TINY_VIT = {**_TINY, "patch_size": 8, "image_size": 32}
_TINY_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
_WORDS = ["<pad>", "<unk>", "<start>", "<end>", "a", "photo", "of", "dog", "cat", "the", "sea"]
_TINY_TEXT = {**_TINY, "vocab_size": len(_WORDS), "max_position_embeddings": 12, "bos_token_id": 2, "eos_token_id": 3}
TINY_CONFIGS: dict[str, dict[str, Any]] = {
    "vit": _TINY_VIT,
    "vit_mae": _TINY_VIT,
    "vit_msn": _TINY_VIT,
    "dinov2": {**_TINY_VIT, "mlp_ratio": 2},
    "dinov2_with_registers": {**_TINY_VIT, "mlp_ratio": 2, "num_register_tokens": 2},
    "dinov3_vit": {**_TINY_VIT, "num_register_tokens": 2},
    "dinov3_convnext": _TINY_STAGES,
    "ijepa": _TINY_VIT,
    "convnext": _TINY_STAGES,
    "convnextv2": _TINY_STAGES,
    "resnet": {**_TINY_STAGES, "embedding_size": 8},
    "clip": {"projection_dim": 24, "vision_config": _TINY_VIT, "text_config": _TINY_TEXT},
    "siglip": {"vision_config": _TINY_VIT, "text_config": {**_TINY_TEXT, "pad_token_id": 0}},
}
"""For each architecture that covey reads through transformers, a network of a few thousand weights."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that saves a tiny random model of an architecture as transformers does and gives its folder."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = _save_tiny_model(kind, tmp_path_factory.mktemp(f"tiny-{kind}"))
        return made[kind]

    return make


def _save_tiny_model(kind: str, folder: Path) -> Path:
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from covey.backbones._transformers._modules import quiet

    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(kind, **TINY_CONFIGS[kind])
        model = transformers.AutoModel.from_config(config)
        for parameter in model.parameters():  # far from where they begin, so that each one matters
            parameter.data += 0.05 * torch.randn(parameter.shape)
        model.save_pretrained(folder)
    told: dict[str, Any] = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 3}
    told |= {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    if "text_config" in TINY_CONFIGS[kind]:
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(_WORDS)}, unk_token=_WORDS[1]))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
        )
        special = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), _WORDS, strict=False))
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder
