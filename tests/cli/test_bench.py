"""`covey bench`: what it lists, and how it speaks; running is tested in tests/bench."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.bench import PROTOCOLS, packaged_experiments
from covey.bench.datasets import DATASETS
from covey.cli import cli


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["bench", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("kind", "names"),
    [("datasets", list(DATASETS)), ("protocols", list(PROTOCOLS)), ("experiments", list(packaged_experiments()))],
)
def test_it_lists_what_files_can_name(kind: str, names: list[str]) -> None:
    code, text = call("list", kind, "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(text)] == names
    assert all(name in call("list", kind)[1] for name in names)


def test_variants_are_listed() -> None:
    assert "long-tail-100" in call("list", "variants")[1]


def test_a_missing_file_is_one_line() -> None:
    code, text = call("run", "nothing")
    assert code == 1
    assert text.startswith("covey: 'nothing' is neither a file nor")
    assert "quick" in text


def test_a_pattern_without_a_match_is_one_line_that_lists_what_there_is(tmp_path: Path) -> None:
    code, text = call("run", "quick", "--only", "digits", "--output", str(tmp_path / "out"))
    assert code == 1
    assert text.startswith("covey: No experiment matches 'digits'. There are: digits / kmeans; ")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    code, text = call("report", str(tmp_path))
    assert code == 1
    assert text.count("\n") == 1
