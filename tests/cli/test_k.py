"""`covey k` on drawn pictures: what it prints, writes and refuses."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from covey.cli import cli
from covey.selection import CRITERIA
from covey.store import Project
from covey.store._tables import read_evidence

QUICK = ["-m", "color_histogram", "-q"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def project(picture_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures.covey"
    assert run("cluster", picture_folder, "-o", folder, "-k", 2, *QUICK).exit_code == 0
    return folder


class Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_prints_a_table_a_suggestion_and_its_doubt(project: Path) -> None:
    result = run("k", project)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["k", "consensus"]
    assert any(line.split()[0] == "3" and "suggested" in line for line in lines)
    for words in ("median of the votes of 5 criteria", "interval", "flatness", "n = 24 images, d = ", "answer depends"):
        assert words in result.output
    assert str(project / "k.json")[-20:] in result.output


def test_writes_the_evidence_and_a_page_that_the_gallery_links(project: Path) -> None:
    assert not (project / "gallery" / "k.html").exists()
    assert "k.html" not in Text((project / "gallery" / "index.html").read_text(encoding="utf-8")).links
    told = json.loads(run("k", project, "--json", "--seed", 3).stdout)
    kept = read_evidence(project)
    assert kept is not None
    assert kept["n_clusters"] == told["n_clusters"] == 3
    assert kept["seed"] == 3
    assert kept["backbones"] == ["color_histogram"]
    assert kept["choices"].keys() == {*CRITERIA}
    assert told["page"] == str(project / "gallery" / "k.html")
    page = Text((project / "gallery" / "k.html").read_text(encoding="utf-8"))
    assert "How many clusters?" in page.words
    assert "k.html" in Text((project / "gallery" / "index.html").read_text(encoding="utf-8")).links
    assert any("24 pictures, each described by" in words for words in page.words)


def test_auto_finds_the_same_and_keeps_it_with_the_run(project: Path, picture_folder: Path) -> None:
    alone = json.loads(run("k", project, "--json").stdout)
    for method in ("kmeans", "spectral"):
        made = json.loads(
            run("cluster", picture_folder, "-o", project, "--method", method, "--json", "-m", "color_histogram").stdout
        )
        for name in ("n_clusters", "scores", "choices", "interval", "granularities"):
            assert made["selection"][name] == alone[name]
        with Project.open(project) as opened:
            folder = opened.run_folder(made["partition"])
        kept = read_evidence(folder)
        assert kept is not None
        assert kept["scores"] == alone["scores"]
        assert str(folder / "k.json") in made["tables"]


def test_features_of_several_backbones_are_joined_as_in_the_run(picture_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "joined.covey"
    models = ("-m", "color_histogram", "-m", "random_patches")
    made = json.loads(
        run("cluster", picture_folder, "-o", folder, "--json", "--no-gallery", "--no-normalize-parts", *models).stdout
    )
    alone = json.loads(run("k", folder, "--json").stdout)
    assert alone["backbones"] == ["color_histogram", "random_patches"]
    assert alone["scores"] == made["selection"]["scores"]


def test_the_range_and_the_criterion_may_be_given(project: Path) -> None:
    told = json.loads(run("k", project, "--json", "--k-min", 4, "--k-max", 6, "--criterion", "silhouette").stdout)
    assert told["candidates"] == [4, 5, 6]
    assert told["criterion"] == "silhouette"


def test_without_a_run_there_is_evidence_but_no_page(picture_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p.covey"
    assert run("embed", picture_folder, "-o", folder, *QUICK).exit_code == 0
    result = run("k", folder, "--model", "color_histogram")
    assert result.exit_code == 0, result.output
    assert "none before the first covey cluster" in result.output
    assert read_evidence(folder) is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--criterion", "silhouete"], "Did you mean 'silhouette'"),
        (["--k-min", "30"], "no number of clusters from 30 to"),
        (["--k-min", "6", "--k-max", "5"], "no number of clusters from 6 to 5"),
        (["--model", "random_patches"], "24 of 24 images have no features of 'random_patches': run covey embed"),
    ],
)
def test_says_what_is_wrong_and_keeps_what_was_there(project: Path, words: list[str], message: str) -> None:
    result = run("k", project, *words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert read_evidence(project) is None


def test_pictures_that_look_the_same_are_one_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    for i in range(4):
        Image.new("RGB", (64 + i, 48), (200, 30, 30)).save(folder / f"{i}.png")
    project = tmp_path / "same.covey"
    made = json.loads(run("cluster", folder, "-o", project, "--json", "-m", "color_histogram").stdout)
    assert made["n_clusters"] == 1
    assert made["selection"] is None
    result = run("k", project)
    assert result.exit_code == 1
    assert "All 4 rows of X are equal" in result.stderr


def test_two_pictures_are_too_few(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for i in range(2):
        Image.new("RGB", (64, 48), (200 * i, 30, 30)).save(folder / f"{i}.png")
    project = tmp_path / "two.covey"
    assert run("cluster", folder, "-o", project, *QUICK).exit_code == 0
    result = run("k", project)
    assert result.exit_code == 1
    assert "has 2 images; a number of clusters can be chosen from 3 images on" in result.stderr
