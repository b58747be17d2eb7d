"""What a project holds, and what can be named."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.cli import cli


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
