"""Running: resumable to the seed, each failure a line, nothing left running, one run at a time."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covey._files import exclusive_lock
from covey.bench import ExperimentFile, Ledger, RunReport, run_experiments
from covey.bench.runner import _processes
from covey.errors import DatasetError, ProjectError

# Stands in for the worker, whose libraries take seconds to load. What a seed does is its number.
STUB = """
    import json, os, pathlib, signal, sys, time
    task, result = map(pathlib.Path, sys.argv[1:])
    task = json.loads(task.read_text())
    if task["kind"] == "prepare":
        if task["rows"]["dataset"] == "moco50":
            raise FileNotFoundError("no such table")
        facts = {"folder": "f", "n_fit": 4, "n_score": 4, "shape": [2], "n_classes": 2, "sha256": "s",
                 "versions": {"covey": "0"}, "hardware": {"n_cores": 2, "processor": "P"}}
        result.write_text(json.dumps(facts))
        sys.exit()
    with open(os.environ["STUB_LOG"], "a") as log:
        log.write(f"{task['method']['name']} {task['fit']} {task['seed']} {os.environ['OMP_NUM_THREADS']}\\n")
    if task["seed"] == 7:
        raise ValueError("seven is not allowed")
    if task["seed"] == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    if task["seed"] == 9:
        time.sleep(60)
    time.sleep(float(os.environ.get("STUB_SLEEP", "0")))
    result.write_text(json.dumps({"n_clusters": 2, "scores": {"test": {"acc": 0.5}}, "cost": {"wall_s": 1.0}}))
"""

FILE = """
    references = []
    [defaults]
    timeout_s = 2
    [[matrix]]
    sets = {sets}
    methods = ["kmeans", "ssc-omp"]
    seeds = {seeds}
    protocols = {protocols}
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in in the worker's place, and return the file in which it notes what it did."""
    (tmp_path / "stub_worker.py").write_text(textwrap.dedent(STUB))
    log = tmp_path / "log.txt"
    log.touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("STUB_LOG", str(log))
    monkeypatch.setattr(_processes, "_MODULE", "stub_worker")
    return log


Go = Callable[..., RunReport]


@pytest.fixture
def go(tmp_path: Path, write_file: Callable[..., ExperimentFile], stub: Path) -> Go:
    def run(seeds: Any, *, sets: Any = ("digits",), protocols: Any = ("inductive",), **keywords: Any) -> RunReport:
        words = {"sets": json.dumps(sets), "seeds": json.dumps(seeds), "protocols": json.dumps(protocols)}
        file = write_file(textwrap.dedent(FILE).format(**words))
        return run_experiments([file], tmp_path / "out", data=tmp_path, **keywords)

    return run


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return Ledger(tmp_path / "out").read()


def test_every_seed_is_one_line_and_none_runs_again(go: Go, tmp_path: Path, stub: Path) -> None:
    report = go([0, 1], protocols=["inductive", "transductive-train", "transductive-all", "temi"])
    assert (report.n_done, report.n_reused) == (8, 0)
    assert {(line["method"]["name"], line["fit"], line["seed"]) for line in lines(tmp_path)} == {
        (name, fit, seed) for name in ("kmeans", "ssc-omp") for fit in ("train", "all") for seed in (0, 1)
    }
    assert len({line["key"] for line in lines(tmp_path)}) == 8
    before = stub.read_text()
    report = go([0, 1, 2], protocols=["inductive", "transductive-all"])
    assert (report.n_done, report.n_reused) == (4, 8)
    assert stub.read_text().removeprefix(before).split("\n")[0].split()[2] == "2"
    assert not list((tmp_path / "out" / ".running").iterdir())
    assert (tmp_path / "out" / "experiments" / "mine.toml").is_file()


def test_the_first_seed_of_everything_comes_first(go: Go, stub: Path) -> None:
    go([0, 1])
    assert [line.split()[2] for line in stub.read_text().splitlines()] == ["0", "0", "1", "1"]


def test_a_failure_is_a_line_and_not_the_end(go: Go, tmp_path: Path) -> None:
    report = go([6, 7, 8, 9])
    status = {line["seed"]: line["status"] for line in lines(tmp_path) if line["method"]["name"] == "kmeans"}
    assert status == {6: "ok", 7: "failed", 8: "failed", 9: "timeout"}
    errors = {line["seed"]: line.get("error", "") for line in lines(tmp_path)}
    assert errors[7] == "ValueError: seven is not allowed"
    assert "signal 9" in errors[8]
    assert errors[9] == "took longer than 2 s"
    assert len(report.failures) == 6


def test_what_failed_is_tried_again_only_when_asked(go: Go, tmp_path: Path) -> None:
    go([7, 0])
    assert go([7, 0]).n_done == 0
    assert go([7, 0], retry_failed=True).n_done == 2
    assert len(lines(tmp_path)) == 6


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_after_a_timeout_the_same_is_not_tried_again(go: Go, tmp_path: Path, n_jobs: int) -> None:
    report = go([9, 10, 11], sets=["digits", "umap-usps"], n_jobs=n_jobs)
    assert {line["seed"] for line in lines(tmp_path)} == {9}
    assert (report.n_done, report.n_skipped) == (4, 8)
    again = go([9, 10], sets=["digits"])  # in another run neither
    assert (again.n_done, again.n_reused, again.n_skipped) == (0, 2, 2)
    assert go([10], sets=["digits"], retry_failed=True).n_done == 2


def test_a_set_that_is_not_here_is_left_out(go: Go, tmp_path: Path) -> None:
    report = go([0], sets=["moco50", "digits"])
    assert report.missing == {"moco50": "FileNotFoundError: no such table"}
    assert {line["rows"]["dataset"] for line in lines(tmp_path)} == {"digits"}


def test_jobs_share_the_processors(go: Go, stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_processes, "n_threads", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    go([0, 1], n_jobs=3)
    assert [line.split()[3] for line in stub.read_text().splitlines()] == ["2"] * 4
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    go([2], n_jobs=3)
    assert [line.split()[3] for line in stub.read_text().splitlines()[4:]] == ["5"] * 2


def test_one_run_at_a_time(go: Go, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with exclusive_lock(tmp_path / "out" / "run.lock", "The folder"), pytest.raises(ProjectError, match="in use"):
        go([0])


def test_other_data_under_the_same_name_runs_again(go: Go, tmp_path: Path) -> None:
    go([0])
    stub = tmp_path / "stub_worker.py"
    stub.write_text(stub.read_text().replace('"sha256": "s"', '"sha256": "t"'))
    assert go([0]).n_done == 2


def test_an_unfinished_line_is_cut_off(go: Go, tmp_path: Path) -> None:
    go([0])
    path = tmp_path / "out" / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # as of a machine that lost power in the middle of the last line
    assert len(lines(tmp_path)) == 1
    assert go([0]).n_done == 1
    assert len(lines(tmp_path)) == 2
    path.write_bytes(b"no json\n" + whole)
    with pytest.raises(DatasetError, match="line 1"):
        lines(tmp_path)


KILLED = """
    import sys, pathlib
    from covey.bench import read_experiments, run_experiments
    from covey.bench.runner import _processes
    _processes._MODULE = "stub_worker"
    file, out = map(pathlib.Path, sys.argv[1:])
    print(run_experiments([read_experiments(file)], out, data=out).n_done)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal 9")
def test_a_killed_run_repeats_no_finished_seed(
    tmp_path: Path, stub: Path, write_file: Callable[..., ExperimentFile]
) -> None:
    words = {"sets": '["digits"]', "seeds": "6", "protocols": '["inductive"]'}
    file = write_file(textwrap.dedent(FILE).format(**words))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(file.path), str(tmp_path / "out")]
    process = subprocess.Popen(command, env={**os.environ, "STUB_SLEEP": "0.3"}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(lines(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = lines(tmp_path)
    assert 3 <= len(finished) < 12
    report = run_experiments([file], tmp_path / "out", data=tmp_path)
    assert report.n_reused == len(finished)
    assert report.n_done == 12 - len(finished)
    assert lines(tmp_path)[: len(finished)] == finished
    runs = [tuple(line.split()[:3]) for line in stub.read_text().splitlines()]
    assert len(runs) - len(set(runs)) <= 1  # the one in hand when it was killed


PARENT = """
    import subprocess, sys
    from covey.bench.runner import _worker
    child = "import sys; sys.path[:0] = sys.argv[1:]; from covey.bench.runner._worker import _die_with_parent as ask; "
    child += "ask(); print('asked', flush=True); import time; time.sleep(120)"
    print(subprocess.Popen([sys.executable, "-c", child]).pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_run_leaves_no_process_behind() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        child = Path("/proc") / process.stdout.readline().strip()
        assert process.stdout.readline().strip() == "asked"
        assert (child / "stat").exists()
        process.kill()
        deadline = time.monotonic() + 30
        while child.exists() and (child / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
def test_the_quick_file_runs_for_real_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from covey.cli import cli

    monkeypatch.setenv("COVEY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    arguments = ["bench", "run", "quick", "--output", str(out), "--data", str(tmp_path)]
    first = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    assert "failed=0 skipped=0 sets_missing=0" in first.output
    before = (out / "results.jsonl").read_bytes()
    again = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "done=0" in again.output
    assert (out / "results.jsonl").read_bytes() == before
    done = CliRunner().invoke(cli, ["bench", "report", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    report = (out / "report" / "report.md").read_text()
    for name in ("kmeans", "spectral", "random", "linear-probe", "inductive", "transductive-all"):
        assert name in report
