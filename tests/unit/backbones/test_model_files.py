"""Models on this machine: found in the right order, told at once when they are missing, taken in whole."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from covey.backbones import BACKBONES, download_model, load_backbone, model_status, models_folder, require_models
from covey.backbones._model_files import hash_model, weight_files
from covey.backbones._taking_in import import_model
from covey.errors import InvalidValueError, MissingExtraError, ModelError, UnknownNameError

DINO = BACKBONES["dino_vits16.in1k"]
Tiny = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    "name", [name for name, spec in BACKBONES.items() if spec.weights.startswith(("hub:", "file:"))]
)
def test_a_model_that_is_not_here_says_so_with_the_command_that_brings_it(name: str) -> None:
    start = time.perf_counter()
    with pytest.raises(
        ModelError, match=f"`covey models download {name}` fetches .*; `covey models import {name} PATH`"
    ):
        require_models([name])
    assert time.perf_counter() - start < 0.5
    assert not model_status(BACKBONES[name]).is_here


@pytest.mark.parametrize("loader", ["transformers", "timm", "open_clip"])
def test_a_loader_tells_the_same(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"covey.backbones._{loader}.require", lambda *_, **__: None, raising=False)
    name = next(name for name, spec in BACKBONES.items() if spec.loader == loader)
    with pytest.raises(ModelError, match=f"covey models download {name}"):
        load_backbone(name, device="cpu")


def test_nothing_is_looked_up_and_no_library_is_loaded() -> None:
    script = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from covey.backbones import BACKBONES, model_status, require_models
from covey.errors import ModelError
[model_status(spec) for spec in BACKBONES.values()]
try:
    require_models(["clip_vitb32.openai"])
except ModelError:
    print("missing", {"torch", "transformers", "huggingface_hub"} & {*sys.modules}, asked)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "missing set() []"


def test_a_folder_is_read_without_a_connection(tiny_model: Tiny) -> None:
    script = f"""
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
import numpy as np
from covey.backbones import load_backbone
backbone = load_backbone({str(tiny_model("clip"))!r}, device="cpu", runtime="torch")
backbone.encode_images(np.zeros((2, 32, 32, 3), np.uint8)), backbone.encode_texts(["a dog"])
print(asked)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def fill_cache(folder: Path, commit: str = "abc123") -> Path:
    """Lay a model out as the hub's client does: references, snapshots, links into blobs."""
    repository = folder / "models--facebook--dino-vits16"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    (repository / "blobs").mkdir()
    (repository / "blobs" / "1").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(repository / "blobs" / "1")
    return snapshot


def test_the_hubs_cache_is_looked_into_after_the_own_folder(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path / "hub")
    assert model_status(DINO).path == snapshot
    assert model_status(DINO).words == "in the hub's cache"
    assert model_status(replace(DINO, revision="abc123")).path == snapshot
    assert not model_status(replace(DINO, revision="other")).is_here
    own = models_folder() / DINO.name
    own.mkdir(parents=True)
    assert (model_status(DINO).path, model_status(DINO).words) == (own, "imported")


def test_what_a_plug_in_says_of_its_weights_is_its_own_business() -> None:
    status = model_status(replace(DINO, weights="inside the plug-in"))
    assert (status.is_here, status.path) == (True, None)
    status = model_status(replace(DINO, weights="covey-no-such-package==1.0:file.pth"))
    assert (status.is_here, status.words) == (False, "pip install covey-no-such-package==1.0")


def test_half_a_snapshot_does_not_count(tmp_path: Path) -> None:
    (fill_cache(tmp_path / "hub") / "model.safetensors").unlink()
    assert not model_status(DINO).is_here


def test_the_folders_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_folder() == tmp_path / "models"
    monkeypatch.delenv("COVEY_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "covey" / "models"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert model_status(DINO).path is None
    snapshot = fill_cache(tmp_path / "home" / "hub")
    assert model_status(DINO).path == snapshot


def test_weights_in_parts_must_all_be_there(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "model-1.safetensors").touch()
    with pytest.raises(ModelError, match=r"lacks 1 of 2 parts, first model-2\.safetensors"):
        weight_files(tmp_path)
    (tmp_path / "model-2.safetensors").touch()
    assert [file.name for file in weight_files(tmp_path)] == ["model-1.safetensors", "model-2.safetensors"]


def test_safetensors_are_preferred_and_two_strangers_refused(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"2 that could be them: a\.pth, b\.pth"):
        weight_files(tmp_path)
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).touch()
        assert [file.name for file in weight_files(tmp_path)] == [name]


def test_openclips_files_are_not_those_of_the_image_tower(tmp_path: Path) -> None:
    for name in ("model.safetensors", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        (tmp_path / name).touch()
    assert [file.name for file in weight_files(tmp_path)] == ["model.safetensors"]
    assert [file.name for file in weight_files(tmp_path, "open_clip")] == ["open_clip_model.safetensors"]


def tiny_spec(folder: Path):  # type: ignore[no-untyped-def]
    """A row that the tiny model fulfils."""
    from covey.backbones import find_spec

    return replace(find_spec(str(folder)), name="tiny.model", weights="hub:nobody/tiny", sha256="")


def test_a_model_is_taken_in_and_found(tiny_model: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model("clip")
    spec = tiny_spec(folder)
    (folder / "README.md").write_text("not needed", encoding="utf-8")
    target = import_model(spec, folder)
    assert target == models_folder() / "tiny.model" == model_status(spec).path
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in target.iterdir()}
    assert not (target / "README.md").exists()
    assert [path.name for path in models_folder().iterdir()] == ["tiny.model"]
    again = import_model(spec, folder)  # replaces it
    assert (again, [path.name for path in models_folder().iterdir()]) == (target, ["tiny.model"])


def test_what_is_not_the_model_is_not_taken_in(tiny_model: Tiny, tmp_path: Path) -> None:
    from covey.backbones import take_in_model

    with pytest.raises(ModelError, match=r"does not hold dino_vits16\.in1k"):
        take_in_model("dino_vits16.in1k", tiny_model("vit"))
    half = Path(shutil.copytree(tiny_model("vit"), tmp_path / "half"))
    (half / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ModelError, match="git lfs pull"):
        take_in_model("dino_vits16.in1k", half)
    with pytest.raises(InvalidValueError, match="needs no download"):
        take_in_model("color_histogram", half)
    with pytest.raises(UnknownNameError):
        take_in_model("no_such_model", half)
    assert not models_folder().exists()


def test_a_real_row_is_taken_in_from_a_file(tmp_path: Path, build_module: Callable[..., nn.Module]) -> None:
    """At random weights, in the layout of the authors' file: MoCo v3's ViT-S."""
    from covey.backbones import take_in_model

    spec = BACKBONES["moco3_vits16.in1k"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = build_module(spec).model.state_dict()
    torch.save(state, tmp_path / "vit-s.pth")
    folder = take_in_model(spec.name, tmp_path / "vit-s.pth")
    backbone = load_backbone(spec.name, device="cpu", precision="float32", runtime="torch")
    assert folder == models_folder() / spec.name
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    assert backbone.encode_images(pixels).shape == (2, 384)
    assert hash_model(folder) == hash_model(tmp_path / "vit-s.pth")


def test_a_download_asks_for_safetensors_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, Sequence[str]]] = []

    def snapshot_download(
        repo_id: str, *, revision: str | None, local_dir: Path, allow_patterns: Sequence[str]
    ) -> None:
        asked.append((repo_id, revision, allow_patterns))
        if "pytorch_model*.bin" in allow_patterns:
            (local_dir / "pytorch_model.bin").touch()

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert download_model(replace(DINO, revision="v1"), tmp_path) == tmp_path
    assert [(name, revision, "pytorch_model*.bin" in patterns) for name, revision, patterns in asked] == [
        ("facebook/dino-vits16", "v1", False),
        ("facebook/dino-vits16", "v1", True),
    ]


def test_a_failed_download_says_where_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: object, **__: object) -> None:
        raise OSError("Name or service not known\nand a page of advice")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(
        ModelError, match=r"could not be fetched from facebook/dino-vits16 .*: Name or service not known$"
    ):
        download_model(DINO, tmp_path)


def test_a_file_is_fetched_from_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    source = tmp_path / "there" / "weights.pth"
    source.write_bytes(b"some weights")
    spec = replace(BACKBONES["moco3_vits16.in1k"], weights=f"file:{source.as_uri()}")
    fetched = download_model(spec, tmp_path)
    assert (fetched.name, fetched.read_bytes()) == ("weights.pth", b"some weights")
    with pytest.raises(ModelError, match="could not be fetched"):
        download_model(replace(spec, weights=f"file:{source.as_uri()}.lost"), tmp_path)


class FakeVisual(torch.nn.Module):
    """Stands for a network of timm or OpenCLIP."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean(dim=(2, 3)))


def small(name: str):  # type: ignore[no-untyped-def]
    return replace(BACKBONES[name], n_features=5, input_size=(16, 16))


def test_timms_networks_are_built_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from covey.backbones import _timm

    asked: dict[str, object] = {}

    def create_model(name: str, **words: object) -> FakeVisual:
        asked.update(words, name=name)
        return FakeVisual()

    monkeypatch.setattr(_timm, "require", lambda module, **_: SimpleNamespace(create_model=create_model))
    spec, path, network = small("eva02_vitl14.mim_in22k"), tmp_path / "weights.pth", FakeVisual()
    torch.save(network.state_dict(), path)
    words = {"device": "cpu", "precision": "float32", "runtime": "torch", "weights": path}
    backbone = _timm.load_timm(spec, **words)
    assert asked == {"name": "eva02_large_patch14_224", "pretrained": False, "num_classes": 0}
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    x = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    expected = network(x.permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(backbone.encode_images(pixels), expected, atol=1e-5)
    torch.save({"head.weight": torch.ones(5, 3)}, path)
    with pytest.raises(ModelError, match=r"1 are missing \(head\.bias\)"):
        _timm.load_timm(spec, **words)
    torch.save({"head.weight": torch.ones(7, 3), "head.bias": torch.ones(7)}, path)
    with pytest.raises(ModelError, match=r"not those of eva02_vitl14"):
        _timm.load_timm(spec, **words)


def test_openclips_towers_are_built_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from covey.backbones import _open_clip

    class FakeModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = FakeVisual()

        def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
            return ids[:, :1].float().expand(-1, 5)

    model, path = FakeModel(), tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    asked: dict[str, object] = {}

    def create_model(name: str, pretrained: str) -> FakeModel:
        asked.update(name=name, pretrained=pretrained)
        return model

    fake = SimpleNamespace(
        create_model=create_model,
        get_tokenizer=lambda name: lambda texts: torch.tensor([[len(text), 0] for text in texts]),
    )
    monkeypatch.setattr(_open_clip, "require", lambda module, **_: fake)
    words = {"device": "cpu", "precision": "float32", "runtime": "torch", "weights": path}
    backbone = _open_clip.load_open_clip(small("pe_core_vitb16.meta"), **words)
    assert asked == {"name": "PE-Core-B-16", "pretrained": str(path)}
    assert backbone.encode_images(np.zeros((3, 16, 16, 3), np.uint8)).shape == (3, 5)
    assert np.array_equal(backbone.encode_texts(["a", "four"] * 40)[:2], [[1] * 5, [4] * 5])


@pytest.mark.parametrize(("name", "extra"), [("eva02_vitl14.mim_in22k", "timm"), ("clip_resnet50.openai", "openclip")])
def test_an_extra_that_is_missing_is_named(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.registry.find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'covey\[{extra}\]'"):
        load_backbone(name, device="cpu")
