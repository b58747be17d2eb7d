"""`covey name` and `covey search` as a person types them, with the bridge of the installed weights."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from covey.cli import cli
from covey.store import Project
from covey.text._minilm import find_text_embedder

needs_text = pytest.mark.skipif(find_text_embedder() is None, reason="needs the extra text")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the default backbone's smaller sibling: six pictures of two kinds, named by the bridge."""
    folder = tmp_path_factory.mktemp("words") / "pictures"
    y, x = np.mgrid[:48, :48]
    for kind in ("board", "sky"):
        (folder / kind).mkdir(parents=True)
        for i in range(3):
            grey = 240 * ((x // (6 + i) + y // (6 + i)) % 2) if kind == "board" else 4 * y + 10 * i
            pixels = np.stack([grey, grey, np.maximum(grey, 120 * (kind == "sky"))], axis=2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{i}.png")
    project = folder.parent / "words.covey"
    words = folder.parent / "words.txt"
    words.write_text("# two\nchessboard\nlandscape\nChessboard\n", encoding="utf-8")
    run("cluster", folder, "-o", project, "-k", 2, "-m", "efficientnet_lite0.in1k", "--no-names", "--no-gallery")
    return project


@pytest.fixture
def plain(picture_folder: Path, tmp_path: Path) -> Path:
    """A project whose model knows pictures only."""
    project = tmp_path / "plain.covey"
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "-m", "color_histogram", "--no-gallery")
    assert "names    none: color_histogram knows pictures only" in result.output
    return project


@needs_text
def test_naming_with_own_words_says_which_bridge_spoke(bridged: Path) -> None:
    words = bridged.parent / "words.txt"
    text = run("name", bridged, "--vocabulary", words, "--threshold", 0, "--top", 1).output
    assert f"2 words of the vocabulary '{words}'" in text
    assert "by a bridge of efficientnet_lite0.in1k's ImageNet classifier and all-MiniLM-L6-v2; weaker than" in text
    with Project.open(bridged) as project:
        names = {cluster.name.name for cluster in project.clusters(1)}
        naming = project.partition_info().naming
    assert (naming["n_words"], naming["n_duplicates"], naming["is_bridge"]) == (2, 1, True)
    # Two words fit drawings of boards no better than random words do: none is a heading, both are told as runners-up.
    assert names == {"Unnamed 0", "Unnamed 1"}
    assert "these words do not separate your images" in text
    assert naming["note"] in text
    page = (bridged / "gallery" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


@needs_text
def test_searching_by_words_and_by_picture(bridged: Path) -> None:
    query = bridged.parent / "pictures" / "board" / "1.png"
    told = json.loads(run("search", bridged, "--image", query, "--top", 2, "--json").stdout)
    assert {hit["path"] for hit in told["hits"]} == {"board/0.png", "board/2.png"}
    text = run("search", bridged, "--text", "a chessboard", "--top", 3, "--min-score", -1).output
    assert "words understood by a bridge of" in text
    assert "3 of 6 pictures" in text


def test_captions_of_another_program(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.pipeline._names.N_CAPTIONED", 2)
    program = tmp_path / "describe.py"
    program.write_text(
        "import io, sys\nfrom PIL import Image\n"
        "image = Image.open(io.BytesIO(sys.stdin.buffer.read())).resize((1, 1))\n"
        "colour = image.getpixel((0, 0))\n"
        "print('something', ('red', 'green', 'blue')[colour.index(max(colour))])\n",
        encoding="utf-8",
    )
    result = run("name", plain, "--captioner", f"'{sys.executable}' '{program}'", "--no-gallery", "--json")
    assert {cluster["name"] for cluster in json.loads(result.stdout)["clusters"]} == {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["name"], "knows pictures only"),
        (["name", "--vocabulary", "no-such-file.txt"], "cannot be read: No such file"),
        (["name", "--run", 9], "no partition 9"),
        (["search"], "exactly one query"),
        (["search", "--text", "red"], "knows pictures only"),
        (["search", "--text", ""], "query is empty"),
        (["search", "--cluster", 0, "--space", "Z"], "Unknown space 'Z'"),
        (["search", "--cluster", 0, "--space", "representation"], "keeps no representation"),
        (["search", "--cluster", 0, "--engine", "exakt"], "Did you mean 'exact'"),
    ],
)
def test_what_cannot_be_done_is_one_line(plain: Path, arguments: list[object], words: str) -> None:
    command, *rest = arguments
    result = run(command, plain, *rest)
    assert result.exit_code == 1
    assert words in result.output
    said = [line for line in result.output.splitlines() if line not in {"Starting", "Naming"}]  # progress
    assert len(said) == 1
    assert said[0].startswith("covey: ")


def test_search_inside_a_cluster_by_its_centre(plain: Path) -> None:
    text = run("search", plain, "--cluster", 1, "--within", 1, "--top", 50).output
    assert "8 of 8 pictures, compared in features" in text


def test_no_names_says_nothing_of_names(picture_folder: Path, tmp_path: Path) -> None:
    result = run("cluster", picture_folder, "-o", tmp_path / "x.covey", "-k", 3, "-m", "color_histogram", "--no-names")
    assert "names " not in result.output
