"""Progress on standard error: the words, what a terminal sees, and what a file gets."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.cli import cli
from covey.cli._progress import Bars, format_seconds, format_stage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[str]:
    """Return what was ever drawn, each state of a line by itself."""
    drawn = stream.getvalue().replace("\r", "\n").replace("\x1b[A", "")
    return [line.rstrip() for line in drawn.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"n_done": 310, "n_total": 1000, "elapsed_s": 12.9, "rate": 24.0},
            "Embedding 310/1,000 images, 24/s, 0:29 left",
        ),
        ({"n_done": 0, "n_total": 1000, "elapsed_s": 0.0}, "Embedding 0/1,000 images"),
        ({"n_done": 1000, "n_total": 1000, "elapsed_s": 41.2}, "Embedding 1,000 images, 0:41"),
        ({"n_done": 1204, "n_total": None, "elapsed_s": 4.0}, "Embedding: 1,204 images (301 images/s)"),
        ({"n_done": 3, "n_total": 9, "elapsed_s": 2.0}, "Embedding 3/9 images, 1.5/s, 0:04 left"),
        ({"n_done": 0, "n_total": None, "elapsed_s": 0.1}, "Embedding"),
        ({"n_done": 0, "n_total": None, "elapsed_s": 65.0}, "Embedding, 1:05"),
    ],
)
def test_a_stage_in_words(facts: dict[str, float], words: str) -> None:
    assert format_stage("Embedding", "images", **facts) == words


def test_hours_are_written_as_hours() -> None:
    assert [format_seconds(value) for value in (0.4, 59.6, 3599, 3723)] == ["0:00", "1:00", "59:59", "1:02:03"]


def test_a_finished_stage_leaves_no_bar_and_the_next_has_its_own_line() -> None:
    stream = Terminal()
    with Bars(is_shown=True, stream=stream) as progress:
        for n_done in (0, 500, 1000, 1000):
            progress("embed", n_done, 1000)
        progress("read", 0, None)
    drawn = lines_of(stream)
    assert drawn[0].startswith("Embedding 0/1,000 images")
    assert sum(line.startswith("Embedding 1,000 images") for line in drawn[-4:]) >= 1
    assert "#" not in "".join(line for line in drawn if line.startswith("Embedding 1,000 images"))
    assert drawn[-1] == "Reading features"


def test_a_stage_that_begins_again_gets_a_line_again() -> None:
    stream = Terminal()
    with Bars(is_shown=True, stream=stream) as progress:
        for _ in range(2):
            progress("embed", 0, 5)
            progress("embed", 5, 5)
    assert sum(line.startswith("Embedding 0/5") for line in lines_of(stream)) == 2


def test_a_file_gets_each_stage_once() -> None:
    stream = io.StringIO()
    with Bars(is_shown=True, stream=stream) as progress:
        progress("find", 20, None)
        progress("find", 40, None)
        for _ in range(2):
            progress("embed", 0, 1000)
            progress("embed", 1000, 1000)
        progress("some_plug_in", 0, 3)
    assert stream.getvalue() == "Scanning\nEmbedding 1,000 images\nSome plug in 3 steps\n"


def test_no_progress_is_silent() -> None:
    for stream in (Terminal(), io.StringIO()):
        with Bars(is_shown=False, stream=stream) as progress:
            progress("embed", 0, 5)
        assert stream.getvalue() == ""


def test_the_first_word_comes_before_torch_is_loaded(picture_folder: Path, tmp_path: Path) -> None:
    """In the time of the processor, since a wall clock measures the neighbors too."""
    code = (
        "import sys, time\n"
        "class Watch:\n"
        "    def write(self, text):\n"
        "        print(text.strip(), time.process_time(), 'torch' in sys.modules)\n"
        "        sys.exit(0)\n"
        "    def flush(self): pass\n"
        "    def isatty(self): return False\n"
        "sys.stderr = Watch()\n"
        "from covey.cli import main\n"
        f"main(['cluster', {str(picture_folder)!r}, '-o', {str(tmp_path / 'p.covey')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    word, seconds, has_torch = done.stdout.split("\n")[0].split()
    assert word == "Starting"
    assert float(seconds) < 1
    assert has_torch == "False"


@pytest.mark.parametrize("command", ["cluster", "embed"])
def test_a_missing_model_is_said_before_torch_is_loaded(command: str, picture_folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time, atexit\n"
        "from covey.cli import main\n"
        "atexit.register(lambda: print(time.process_time(), 'torch' in sys.modules))\n"
        f"words = [{command!r}, {str(picture_folder)!r}, '-o', {str(tmp_path / 'p.covey')!r}]\n"
        "main([*words, '-m', 'dinov2_vits14.lvd142m'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "covey models download dinov2_vits14.lvd142m" in done.stderr
    seconds, has_torch = done.stdout.split()
    assert float(seconds) < 1
    assert has_torch == "False"


def test_half_a_name_suggests_the_family(picture_folder: Path) -> None:
    result = CliRunner().invoke(cli, ["cluster", str(picture_folder), "-m", "dinov2"])
    assert result.exit_code == 1
    for size in "sblg":
        assert f"dinov2_vit{size}14.lvd142m" in result.stderr
    assert "dino_vits8" not in result.stderr
