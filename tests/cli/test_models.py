"""`covey models`: the table, the places, taking in and exporting; and a model's folder instead of a name."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.backbones import BACKBONES, find_spec
from covey.cli import cli

Tiny = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_table_says_what_can_be_used() -> None:
    text = CliRunner().invoke(cli, ["models", "list"]).stdout
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert set(BACKBONES) <= set(rows)
    assert rows["clip_vitb32.openai"].endswith(" no")
    assert rows["efficientnet_lite2.in1k"].endswith(" yes")
    assert max(map(len, text.splitlines())) <= 190
    here = CliRunner().invoke(cli, ["models", "list", "--here"]).stdout
    assert "efficientnet_lite2.in1k" in here
    assert "clip_vitb32.openai" not in here
    rows = json.loads(CliRunner().invoke(cli, ["models", "list", "--text", "--json"]).stdout)
    assert {row["name"] for row in rows} == {name for name, spec in BACKBONES.items() if spec.has_text}
    assert rows[0]["source"] == BACKBONES[rows[0]["name"]].weights


def test_where_models_are(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["models", "path"]).stdout.strip() == str(tmp_path / "models")
    found = CliRunner().invoke(cli, ["models", "path", "efficientnet_lite0.in1k"]).stdout.strip()
    assert Path(found).is_file()
    for name, message in (
        ("dino_vits16.in1k", "covey models download dino_vits16.in1k"),
        ("nothing", "Unknown backbone"),
    ):
        result = CliRunner().invoke(cli, ["models", "path", name])
        assert result.exit_code == 1
        assert message in result.stderr


@pytest.fixture
def tiny_row(tiny_model: Tiny) -> Iterator[Path]:
    """Enter the tiny model into the catalogue as ``tiny.vit``, to be fetched from a hub; return its folder."""
    folder = tiny_model("vit")
    row = replace(find_spec(str(folder)), name="tiny.vit", weights="hub:nobody/tiny", sha256="")
    with BACKBONES.register("tiny.vit", row):
        yield folder


def test_downloading_a_model(tiny_row: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(repository: str, *, revision: None, local_dir: Path, allow_patterns: list[str]) -> None:
        assert repository == "nobody/tiny"
        shutil.copytree(tiny_row, local_dir, dirs_exist_ok=True)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    result = CliRunner().invoke(cli, ["models", "download", "tiny.vit"])
    assert result.exit_code == 0
    assert "nobody/tiny" in result.stderr
    assert (tmp_path / "models" / "tiny.vit" / "model.safetensors").is_file()
    assert CliRunner().invoke(cli, ["models", "path", "tiny.vit"]).stdout.strip() == str(
        tmp_path / "models" / "tiny.vit"
    )
    result = CliRunner().invoke(cli, ["models", "download", "color_histogram"])
    assert (result.exit_code, "needs no download" in result.stderr) == (1, True)


def test_taking_in_and_using_a_model(tiny_row: Path, tmp_path: Path, picture_folder: Path) -> None:
    folder = tiny_row
    words = ["embed", str(picture_folder), "-o", str(tmp_path / "p.covey"), "--json", "--no-progress"]
    missing = CliRunner().invoke(cli, [*words, "-m", "tiny.vit"])
    assert (missing.exit_code, "covey models import tiny.vit PATH" in missing.stderr) == (1, True)
    taken = CliRunner().invoke(cli, ["models", "import", "tiny.vit", str(folder)])
    assert taken.stdout.strip().endswith("tiny.vit")
    found = json.loads(CliRunner().invoke(cli, [*words, "-m", "tiny.vit"]).stdout)
    assert (found["n_images"], found["n_features"]) == (24, 32)
    by_path = json.loads(CliRunner().invoke(cli, [*words, "-m", str(folder), "-m", "tiny.vit"]).stdout)
    assert by_path["n_features"] == 64


def test_a_wrong_folder_is_one_line(tiny_model: Tiny, tmp_path: Path, picture_folder: Path) -> None:
    folder = Path(shutil.copytree(tiny_model("vit"), tmp_path / "half"))
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    result = CliRunner().invoke(cli, ["embed", str(picture_folder), "-o", str(tmp_path / "p"), "-m", str(folder)])
    assert result.exit_code == 1
    assert "damaged or only half downloaded" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    result = CliRunner().invoke(cli, ["models", "import", "dino_vits16.in1k", str(folder)])
    assert (result.exit_code, "half downloaded" in result.stderr) == (1, True)


def test_the_fast_way_is_compared_with_the_exact_one(tiny_model: Tiny, picture_folder: Path, tmp_path: Path) -> None:
    words = ["models", "check", str(tiny_model("vit")), str(picture_folder)]
    found = json.loads(CliRunner().invoke(cli, [*words, "--json", "--images", "10"]).stdout)
    assert found["n_images"] == 8  # every third of 24
    assert 0.99 < found["cosine_min"] <= found["cosine_mean"] <= 1.00001
    assert found["is_close"] == (found["cosine_min"] > 0.999)
    assert "against torch in float32, 24 pictures" in CliRunner().invoke(cli, words).stdout
    result = CliRunner().invoke(cli, ["models", "check", str(tiny_model("vit")), str(tiny_model("vit"))])
    assert (result.exit_code, "None of the 0 images" in result.stderr) == (1, True)


def test_exporting(tiny_model: Tiny, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    result = CliRunner().invoke(cli, ["models", "export", str(tiny_model("vit")), str(tmp_path / "tiny.onnx")])
    assert result.exit_code == 0
    onnx.checker.check_model(onnx.load(tmp_path / "tiny.onnx"))
    result = CliRunner().invoke(cli, ["models", "export", "color_histogram", str(tmp_path / "none.onnx")])
    assert (result.exit_code, "color_histogram" in result.stderr) == (1, True)
