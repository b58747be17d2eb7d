"""Data sets from a file of one's own: registered for a while, in workers too, and refused with a reason."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from covey.bench.datasets import DATASETS, include_files
from covey.cli import cli
from covey.errors import InvalidValueError

TWO_MOONS = """
    import numpy as np
    from covey.bench.datasets import DatasetSpec, Split, split_numbered

    def load(path):
        y = np.arange(40) % 2
        X = np.random.default_rng(0).normal(size=(40, 3))
        X[:, 0] += 18 * y - 9
        return split_numbered(Split("pair", y, features=X.astype(np.float32)))

    DATASETS = [DatasetSpec("pair", "", load, 40, 2, "ours", "nothing", has_images=False)]
"""


@pytest.fixture
def included(tmp_path: Path) -> Path:
    path = tmp_path / "pair.py"
    path.write_text(textwrap.dedent(TWO_MOONS))
    return path


def test_a_file_adds_its_sets_for_a_while(included: Path) -> None:
    before = list(DATASETS)
    with include_files(DATASETS, [included]):
        assert set(DATASETS) - set(before) == {"pair"}
        dataset = DATASETS["pair"].loader(included)
        assert (len(dataset.train.y), len(dataset.test.y)) == (32, 8)
    assert list(DATASETS) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = 1", "has no DATASETS"),
        ("DATASETS = ['digits']", "has no DATASETS"),
        ("raise OSError('no disk')", "cannot be included: OSError: no disk"),
        ("from covey.bench.datasets import DATASETS as D\nDATASETS = [D['digits']]", "'digits', which exists already"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(content)
    before = list(DATASETS)
    with pytest.raises(InvalidValueError, match=words), include_files(DATASETS, [path]):
        pass
    assert list(DATASETS) == before


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="cannot be included; give an existing Python file"):
        include_files(DATASETS, [tmp_path / "none.py"]).__enter__()


def test_the_command_runs_an_included_set_in_its_workers(
    included: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVEY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "mine.toml"
    file.write_text('references = []\n[[experiment]]\nset = "pair"\nmethod = "kmeans"\nseeds = 1\n')
    listed = CliRunner().invoke(cli, ["bench", "--include", str(included), "list", "datasets", "--json"])
    assert "pair" in [row["name"] for row in json.loads(listed.output)]
    words = ["bench", "--include", str(included), "run", str(file), "--output", str(tmp_path / "out"), "--quiet"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "done=1 already=0 failed=0" in result.output
    line = json.loads((tmp_path / "out" / "results.jsonl").read_text())
    assert line["scores"]["test"]["acc"] == 1
    assert np.isfinite(line["cost"]["wall_s"])
    refused = CliRunner().invoke(cli, ["bench", "run", str(file), "--output", str(tmp_path / "out")])
    assert refused.exit_code == 1
    assert "Unknown data set 'pair'" in refused.output
