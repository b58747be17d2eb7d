"""Files of experiments, arrays as they lie in the cache, and lines as a run writes them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covey.bench import ExperimentFile, read_experiments
from covey.bench._experiment import digest_of, settings_of
from covey.bench.datasets import DATASETS, include_files
from covey.bench.runner._scores import score_labels

ARCHIVES = Path(__file__).parents[2] / "benchmarks" / "archives.py"


@pytest.fixture(autouse=True)
def archives() -> Iterator[None]:
    """Let files of experiments name the sets of the benchmarks."""
    with include_files(DATASETS, [ARCHIVES]):
        yield


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[..., ExperimentFile]:
    """Return a function that writes TOML and reads it as experiments."""

    def write(text: str, name: str = "mine.toml") -> ExperimentFile:
        (tmp_path / name).write_text(text)
        return read_experiments(tmp_path / name)

    return write


@pytest.fixture
def write_arrays(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes blobs, or pictures, as `prepare_rows` does; `order` permutes their classes."""

    def write(*, order: np.ndarray | None = None, n: int = 120, name: str = "arrays", is_pixels: bool = False) -> Path:
        rng = np.random.default_rng(0)
        y = np.arange(n) % 4
        X = (rng.normal(size=(4, 12)) * 6)[y] + rng.normal(size=(n, 12))
        if is_pixels:  # each class has its brightness in each channel
            X = rng.integers(0, 256, size=(4, 3))[y][:, None, None] * 0.7 + rng.integers(0, 60, size=(n, 16, 16, 3))
        if order is not None:
            y = y[order]
        folder = tmp_path / name
        folder.mkdir()
        n_fit = n * 3 // 4
        parts = {"X": X[:n_fit], "X_test": X[n_fit:]}
        for key, rows in parts.items():
            np.save(folder / f"{key}.npy", rows.astype(np.uint8 if is_pixels else np.float32))
        np.save(folder / "y.npy", y[:n_fit])
        np.save(folder / "y_test.npy", y[n_fit:])
        return folder

    return write


@pytest.fixture
def make_line() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a finished line of an experiment; a share of its labels is right."""

    def make(experiment: Any, seed: int, right: float, *, fit: str = "train", **changes: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        y = np.arange(200) % 4
        labels = np.where(rng.random(200) < right, y, rng.integers(4, size=200))
        scores = score_labels(y, labels)
        settings = settings_of(experiment.rows, experiment.method)
        parts = ("test", "train", "train-batches") if fit == "train" else ("all",)
        line = {
            "key": digest_of([settings, fit, seed]),
            "settings": digest_of(settings),
            **settings,
            "fit": fit,
            "seed": seed,
            "status": "ok",
            "scores": dict.fromkeys(parts, scores),
            "n_clusters": 4,
            "data": {"n_fit": 200, "n_score": 200, "shape": [12], "n_classes": 4, "sha256": "x"},
            "cost": {
                "wall_s": 2.0 + seed,
                "cpu_s": 4.0,
                "peak_rss_mb": 500.0,
                "rss_before_fit_mb": 400.0,
                "reference": {"wall_s": 1.0, "cpu_s": 2.0},
            },
            "versions": {"covey": "0"},
            "hardware": {"processor": "P", "n_cores": 2, "n_threads": 2, "n_jobs": 1},
            "process_wall_s": 5.0,
            **changes,
        }
        return json.loads(json.dumps(line))

    return make
