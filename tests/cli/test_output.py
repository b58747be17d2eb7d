"""What the command line prints is fit for any terminal and encoding, and no input makes a traceback."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from covey.cli import cli
from covey.cli._console import echo_table
from covey.cli._output import echo

SOURCE = Path(__file__).resolve().parents[2] / "src" / "covey" / "cli"
EVIL = "a\x1b[31m\x1b]0;title\x07\x9b2J\u202egpj.png"
OPTIONS = ["-m", "color_histogram", "--method", "kmeans", "-q", "--no-gallery"]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_there_is_one_function_that_prints() -> None:
    users = [
        path.name
        for path in SOURCE.rglob("*.py")
        if re.search(r"click\.(echo|secho)\b|\bprint\(", path.read_text("utf-8"))
    ]
    assert users == ["_output.py"]


def test_names_do_not_act_on_a_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "pics"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (24, 24), (40 * i, 0, 255 - 40 * i)).save(folder / EVIL.replace("a", f"{i}\n\r", 1))
    project = tmp_path / "p\x1b[2J.covey"
    outputs = [
        run("cluster", folder, "-o", project, "-k", 2, "-m", "color_histogram", "--no-progress").output,
        run("search", project, "--cluster", 0).output,
        run("info", project).output,
        run("info", tmp_path / "none\x1b[2J").output,
        run("search", project, "--cluster", 0, "--engine", "x\x1b[31m").output,
        run("x\x1b[31m").output,
        run("info", "--x\x1b[31m").output,
    ]
    for output in outputs:
        assert output
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", output), output
    assert "\\x1b[31m" in outputs[1]
    lines = outputs[1].splitlines()
    assert sum("gpj.png" in line for line in lines) == sum("\\n\\r" in line for line in lines) > 0, "one line a file"


def test_a_narrow_encoding_prints_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(click.utils, "_default_text_stdout", lambda: stream)
    echo("é 日本 \udcff")
    echo_table([("日本",)], ("name",))
    stream.flush()
    assert stream.buffer.getvalue().decode("cp1252").splitlines()[0] == "é \\u65e5\\u672c \\udcff"


def test_a_narrow_terminal_in_a_process_of_its_own(tmp_path: Path) -> None:
    for name in ("日本.png", "b.png", "c.png"):
        Image.new("RGB", (24, 24), (len(name), 0, 0)).save(tmp_path / name)
    project = str(tmp_path.with_suffix(".covey"))
    words = [sys.executable, "-m", "covey", "cluster", str(tmp_path), "-o", project, "-k", "1", *OPTIONS]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0
    words = [sys.executable, "-m", "covey", "search", project, "--cluster", "0"]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\u65e5\\u672c.png" in done.stdout


def test_warnings_are_one_line_without_their_place() -> None:
    program = (
        "import warnings, logging; from covey.cli._output import show_warnings_as_lines as s; s()\n"
        "warnings.warn('first\\nline'); warnings.warn('first line')\n"
        "try: 1 / 0\nexcept ZeroDivisionError: logging.getLogger('covey.x').warning('second %s', 2, exc_info=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["covey: first line", "covey: second 2"]


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "1.5", "", "１"])
def test_a_number_of_clusters_is_a_number(picture_folder: Path, tmp_path: Path, number: str) -> None:
    result = run("cluster", picture_folder, "-o", tmp_path / "p.covey", "-k", number, *OPTIONS)
    assert result.exit_code == 2
    assert "is neither a whole number from 1 nor one of 'coarse', 'suggested', 'fine', 'auto'" in result.output
    assert isinstance(result.exception, SystemExit)


def test_output_that_is_a_file_or_too_long_is_one_line(picture_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for output, words in (
        (tmp_path / "file", "is a file; a project is a folder"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        result = run("cluster", picture_folder, "-o", output, "-k", 3, *OPTIONS)
        assert result.exit_code == 1
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1


def test_an_open_quote_is_named(picture_folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "p.covey"
    run("cluster", picture_folder, "-o", project, "-k", 3, *OPTIONS)
    result = run("name", project, "--captioner", "program 'open")
    assert result.exit_code == 2
    assert "close each quote" in result.output


def test_a_damaged_index_is_built_anew(picture_folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "p.covey"
    run("cluster", picture_folder, "-o", project, "-k", 3, *OPTIONS)
    words = ("search", project, "--cluster", 0, "--engine", "usearch")
    whole = run(*words)
    assert whole.exit_code == 0, whole.output
    (index,) = project.rglob("*.usearch")
    for damage in (index.read_bytes()[:-9], b"", b"\xff" * 4000):
        index.write_bytes(damage)
        assert run(*words).output == whole.output
    for damage in (b"[" * 100_000, b"7", b"{}"):
        index.with_name(f"{index.name}.json").write_bytes(damage)
        assert run(*words).output == whole.output


def test_most_images_missing_is_refused_and_prune_forgets(picture_folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "p.covey"
    words = (
        "cluster",
        picture_folder,
        "-o",
        project,
        "-k",
        3,
        "-m",
        "color_histogram",
        "--no-gallery",
        "--no-progress",
    )
    assert run(*words).exit_code == 0
    for path in sorted(picture_folder.iterdir())[10:]:
        path.unlink()
    refused = run(*words)
    assert refused.exit_code == 1
    assert "Only 10 of the 24 images" in refused.output
    allowed = run(*words, "--allow-missing")
    assert allowed.output.splitlines()[-1].endswith("missing=14")
    assert "10 present, 14 absent" in run("info", project).output
    assert "would be removed: 14 paths, 0 images" in run("prune", project, "--dry-run").output
    assert "removed: 14 paths, 14 images" in run("prune", project, "--with-runs").output
    assert "10 present, 0 absent" in run("info", project).output
    assert run(*words).exit_code == 0
