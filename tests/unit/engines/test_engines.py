"""Both engines do the same; the pool's workers can be interrupted, can fail and can die."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from covey.engines import ENGINES, n_threads, run_shards
from covey.errors import InvalidValueError, UnknownNameError

SQUARE = """
import os, time

def square(n):
    return n * n, os.getpid()

def fail_at_three(n):
    if n == 3:
        raise ValueError("three is odd")
    return n

class Awkward(Exception):
    def __init__(self, a, b):
        super().__init__(a)

def fail_awkwardly(n):
    raise Awkward(f"no {n}", 2)

def die(n):
    os.kill(os.getpid(), 9)

def share(n):
    from covey.engines import n_threads
    return n_threads()
"""


def test_there_are_engines() -> None:
    assert list(ENGINES) == ["inline", "pool"]


@pytest.mark.parametrize("engine", ["inline", "pool"])
def test_every_shard_is_run_once(engine: str, shard_module: Callable[[str], object]) -> None:
    module = shard_module(SQUARE)
    results = list(run_shards(module.square, range(7), engine=engine, n_workers=2))  # type: ignore[attr-defined]
    assert sorted(square for square, _ in results) == [n * n for n in range(7)]
    is_here = {pid == os.getpid() for _, pid in results}
    assert is_here == {engine == "inline"}


@pytest.mark.parametrize("engine", ["inline", "pool"])
def test_no_shards_is_no_work(engine: str) -> None:
    assert list(run_shards(str, [], engine=engine)) == []


@pytest.mark.parametrize("engine", ["inline", "pool"])
def test_an_error_keeps_its_kind_and_names_the_shard(engine: str, shard_module: Callable[[str], object]) -> None:
    module = shard_module(SQUARE)
    with pytest.raises(ValueError, match="three is odd") as caught:
        list(run_shards(module.fail_at_three, [1, 2, 3], engine=engine, n_workers=1))  # type: ignore[attr-defined]
    assert "in 3" in caught.value.__notes__


def test_an_error_that_cannot_be_pickled_still_arrives(shard_module: Callable[[str], object]) -> None:
    module = shard_module(SQUARE)
    with pytest.raises(RuntimeError, match="no 1"):
        list(run_shards(module.fail_awkwardly, [1], engine="pool", n_workers=1))  # type: ignore[attr-defined]


def test_a_killed_worker_is_reported_with_its_shard(shard_module: Callable[[str], object]) -> None:
    module = shard_module(SQUARE)
    with pytest.raises(RuntimeError, match=r"worked on 5 died with exit code -9"):
        list(run_shards(module.die, [5], engine="pool", n_workers=1))  # type: ignore[attr-defined]


def test_workers_share_the_processors(shard_module: Callable[[str], object]) -> None:
    module = shard_module(SQUARE)
    shares = list(run_shards(module.share, range(2), engine="pool", n_workers=2))  # type: ignore[attr-defined]
    assert shares == [max(1, n_threads() // 2)] * 2


def test_shards_are_taken_only_when_a_worker_is_free() -> None:
    taken = []

    def shards() -> object:
        for n in range(100):
            taken.append(n)
            yield n

    results = run_shards(str, shards(), engine="inline")  # type: ignore[arg-type]
    assert next(results) == "0"
    assert len(taken) <= 2


def test_wrong_words_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'pool'"):
        run_shards(str, [1], engine="pol")
    with pytest.raises(InvalidValueError, match="n_workers is 0"):
        run_shards(str, [1], n_workers=0)


SLOW_PARENT = """
    import os, sys, time
    from pathlib import Path
    from covey.engines import run_shards

    def slow(path):
        Path(path).write_text(str(os.getpid()))
        time.sleep(120)

    if __name__ == "__main__":
        try:
            list(run_shards(slow, sys.argv[1:], engine="pool", n_workers=2))
        except KeyboardInterrupt:
            sys.exit(130)
"""


def _start_slow_pool(tmp_path: Path) -> tuple["subprocess.Popen[bytes]", list[int]]:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(SLOW_PARENT), encoding="utf-8")
    marks = [tmp_path / "a", tmp_path / "b"]
    parent = subprocess.Popen([sys.executable, str(script), *map(str, marks)])
    deadline = time.monotonic() + 60
    while not all(mark.exists() and mark.read_text() for mark in marks):
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.05)
    return parent, [int(mark.read_text()) for mark in marks]


def _wait_until_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(_is_running(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and PR_SET_PDEATHSIG")
def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    parent, pids = _start_slow_pool(tmp_path)
    parent.kill()
    parent.wait()
    assert _wait_until_gone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_an_interrupt_stops_workers_in_the_middle_of_a_shard(tmp_path: Path) -> None:
    parent, pids = _start_slow_pool(tmp_path)
    parent.send_signal(signal.SIGINT)
    assert parent.wait(30) == 130
    assert _wait_until_gone(pids)
