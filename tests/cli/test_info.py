"""What a project holds, and what can be named."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.cli import cli
from covey.cli._catalog._list import KINDS
from covey.registry import DEFAULT_BACKBONE, DEFAULT_CLUSTERER


def test_info_and_eval_speak_of_the_run(picture_folder: Path, tmp_path: Path) -> None:
    project = str(tmp_path / "p.covey")
    words = [
        "cluster",
        str(picture_folder),
        "-o",
        project,
        "-k",
        "3",
        "-m",
        "color_histogram",
        "--method",
        "kmeans",
        "-q",
    ]
    assert CliRunner().invoke(cli, words).exit_code == 0
    told = CliRunner().invoke(cli, ["info", project]).stdout
    assert told.startswith("found=24 embedded=24 already=0 duplicates=0")
    assert "001-kmeans" in told

    labels = tmp_path / "known.csv"
    rows = [f"{path.name},{path.name.partition('-')[0]}" for path in sorted(picture_folder.iterdir())[:-1]]
    labels.write_text("filename,class\n" + "\n".join(rows), encoding="utf-8")
    result = CliRunner().invoke(cli, ["eval", project, "--labels", str(labels), "--json"])
    found = json.loads(result.stdout)
    assert found["scores"]["clustering_accuracy"] == 1
    assert found["n_images"] == 23
    assert found["n_unlabelled"] == 1
    assert found["per_class_accuracy"] == {"blue": 1.0, "green": 1.0, "red": 1.0}
    assert "without a label" in CliRunner().invoke(cli, ["eval", project, "--labels", str(labels)]).stdout


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,kind\na,b\n", "it needs one of filename"),
        ("filename,class\na,b\na,c\n", "gives 'a' the class 'b' and also 'c'"),
        ("filename,class\nnobody.png,b\n", "None of the 24 images has a label"),
    ],
)
def test_eval_says_what_is_wrong_with_a_table(picture_folder: Path, tmp_path: Path, table: str, message: str) -> None:
    project = str(tmp_path / "p.covey")
    words = ["cluster", str(picture_folder), "-o", project, "-k", "3", "-m", "color_histogram", "-q", "--no-gallery"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    labels = tmp_path / "known.csv"
    labels.write_text(table, encoding="utf-8")
    result = CliRunner().invoke(cli, ["eval", project, "--labels", str(labels)])
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("kind", ["backbones", "clusterers", "metrics", "criteria", "neighbors"])
def test_list_names_everything_registered(kind: str) -> None:
    rows = json.loads(CliRunner().invoke(cli, ["list", kind, "--json"]).stdout)
    assert rows
    text = CliRunner().invoke(cli, ["list", kind]).stdout
    assert all(row["name"] in text for row in rows)


def test_list_alone_gives_an_overview_with_the_defaults_marked() -> None:
    text = CliRunner().invoke(cli, ["list"]).stdout
    for name in (DEFAULT_BACKBONE, DEFAULT_CLUSTERER, "consensus"):
        assert f"{name} [default]" in text
    assert text.count("[default]") == sum(bool(kind.default) for kind in KINDS.values())
    rows = json.loads(CliRunner().invoke(cli, ["list", "--json"]).stdout)
    assert [row["kind"] for row in rows] == list(KINDS)
    for row in rows:
        assert row["advice"]
        assert row["default"] in {"", *row["names"]}
        assert all(name in text for name in row["names"])


@pytest.mark.parametrize("words", [["list"], ["list", "metrics"], ["models", "list"]])
def test_quiet_lists_print_json_alone(words: list[str]) -> None:
    assert CliRunner().invoke(cli, [*words, "-q"]).output == ""
    assert json.loads(CliRunner().invoke(cli, [*words, "-q", "--json"]).stdout)


def test_commands_on_a_project_speak_alike(picture_folder: Path, tmp_path: Path) -> None:
    project = str(tmp_path / "p.covey")
    words = ["cluster", str(picture_folder), "-o", project, "-k", "3", "-m", "color_histogram", "-q", "--no-gallery"]
    assert CliRunner().invoke(cli, words).output == ""
    labels = ["--labels", str(tmp_path / "known.csv")]
    rows = [f"{path.name},{path.name.partition('-')[0]}" for path in picture_folder.iterdir()]
    (tmp_path / "known.csv").write_text("filename,class\n" + "\n".join(rows), encoding="utf-8")
    for command in (["info"], ["gallery"], ["eval", *labels], ["search", "--cluster", "0"], ["k"]):
        name, *more = command
        assert CliRunner().invoke(cli, [name, project, *more, "-q"]).output == "", name
        assert json.loads(CliRunner().invoke(cli, [name, project, *more, "-q", "--json"]).stdout), name
        assert CliRunner().invoke(cli, [name, project, *more]).stdout, name
