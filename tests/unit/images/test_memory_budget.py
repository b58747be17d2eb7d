"""One budget for all readers: large images wait their turn, and the memory that is really taken stays within it."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from covey.images import default_budget_bytes, limit_reading_memory, read_image, reading_budget
from covey.images._decode import _memory_budget as budgets
from covey.images._decode._memory_budget import MemoryBudget


@pytest.fixture(autouse=True)
def _restore():
    yield
    limit_reading_memory()


def test_default(monkeypatch):
    assert 0 < default_budget_bytes() <= 4 * 2**30
    assert reading_budget().n_bytes == default_budget_bytes()
    monkeypatch.setattr(budgets, "_memory_bytes", lambda: 8 * 2**30)
    assert default_budget_bytes() == 2 * 2**30
    monkeypatch.setattr(budgets, "_memory_bytes", lambda: 64 * 2**30)
    assert default_budget_bytes() == 4 * 2**30


def test_a_container_counts_as_the_machine(monkeypatch, tmp_path):
    (tmp_path / "v2").write_text("1073741824\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(budgets, "_physical_bytes", lambda: 2**34)
    monkeypatch.setattr(budgets, "_CGROUP_LIMITS", (str(tmp_path / "none"), str(tmp_path / "v2"), "/no/such/file"))
    assert default_budget_bytes() == 2**28


def test_readers_stay_within_the_budget():
    budget, together, most = MemoryBudget(100), [], []

    def work(n_bytes):
        with budget.hold(n_bytes):
            together.append(n_bytes)
            most.append(sum(together))
            time.sleep(0.002)
            together.remove(n_bytes)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, np.random.default_rng(0).integers(1, 60, 200).tolist()))
    assert 60 < max(most) <= 100
    assert budget.n_peak == max(most)


def test_what_is_larger_than_the_budget_is_read_alone_and_in_its_turn():
    budget, order = MemoryBudget(100), []
    first_is_in, may_go = threading.Event(), threading.Event()

    def first():
        with budget.hold(50):
            first_is_in.set()
            may_go.wait(5)

    def later(name, n_bytes):
        with budget.hold(n_bytes):
            order.append(name)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    first_is_in.wait(5)
    for name, n_bytes in (("huge", 500), ("small", 10)):  # the small one would fit beside the first
        threads.append(threading.Thread(target=later, args=(name, n_bytes)))
        threads[-1].start()
        while len(budget._waiting) < len(threads) - 1:
            time.sleep(0.001)
    may_go.set()
    for thread in threads:
        thread.join(5)
    assert order == ["huge", "small"]


def test_an_error_gives_its_bytes_back(tmp_path):
    budget = limit_reading_memory(2**20)
    Image.new("RGB", (400, 400)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    for _ in range(3):
        with pytest.raises(OSError, match="decoded"):
            read_image(tmp_path / "b.png")
    assert budget._n_held == 0
    assert read_image(tmp_path / "a.png").size == (400, 400)
    with pytest.raises(ValueError, match="n_bytes is 0"):
        limit_reading_memory(0)


def test_huge_images_are_averaged_to_no_less_than_asked(tmp_path, monkeypatch, draw):
    from covey.images._decode import _loaded_images

    draw(1200, 900).save(tmp_path / "a.png")
    whole = read_image(tmp_path / "a.png", min_size=(40, 40))
    monkeypatch.setattr(_loaded_images, "REDUCED_FROM_PIXELS", 10**6)
    image = read_image(tmp_path / "a.png", min_size=(40, 40))
    assert whole.size == (1200, 900)
    assert image.size == (240, 180), "blocks of 5: four times the sides asked for are kept"
    assert np.abs(np.asarray(image).astype(int) - np.asarray(whole.reduce(5))).max() <= 1
    assert read_image(tmp_path / "a.png").size == (1200, 900)


PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from covey.images import limit_reading_memory, read_image
budget = limit_reading_memory(int(sys.argv[1]))
paths = sorted(Path(sys.argv[2]).iterdir())
read_image(paths[0], min_size=(64, 64)).size  # whatever Pillow loads
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ThreadPoolExecutor(16) as pool:
    list(pool.map(lambda path: read_image(path, min_size=(64, 64)), paths))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, budget.n_peak // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB here")
@pytest.mark.parametrize(
    "kind", ["P", pytest.param("RGBA", marks=pytest.mark.slow), pytest.param("F", marks=pytest.mark.slow)]
)
def test_sixteen_readers_of_large_images(tmp_path, kind):
    """Ten images of 36 million pixels: side by side they would take 1.4 GB decoded, and more while converted."""
    image = Image.new("RGBA", (6000, 6000), (10, 200, 30, 128)) if kind == "RGBA" else Image.new(kind, (6000, 6000), 1)
    suffix = "tif" if kind == "F" else "png"
    first = tmp_path / f"0.{suffix}"
    options = {"compression": "tiff_adobe_deflate"} if kind == "F" else {"compress_level": 1}
    image.save(first, **options)
    for i in range(1, 10):
        (tmp_path / f"{i}.{suffix}").hardlink_to(first)
    budget = 600 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(budget), str(tmp_path)], capture_output=True, text=True, check=True
    )
    taken, estimated = (int(word) * 1024 for word in done.stdout.split())
    assert estimated <= budget
    assert taken <= budget
