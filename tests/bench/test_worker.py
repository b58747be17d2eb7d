"""One seed in its process: labels never reach a method, results are whole, costs are told in units of k-means."""

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from covey.bench.runner import _worker
from covey.bench.runner._worker import partition_hash, run_seed
from covey.cluster import CLUSTERERS

_CONTRACTS = (Path(__file__).parents[1] / "contracts").glob("test_*clusterers.py")


def short_settings() -> dict[str, dict[str, Any]]:
    """Return what makes a fit of each method short, as the contracts of clusterers have it."""
    found = {}
    for path in _CONTRACTS:
        spec = importlib.util.spec_from_file_location(f"contract_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= module.SHORT
    return found


SHORT = short_settings()

# UMAP takes ten seconds to load, and only the extra of its name brings it.
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow, pytest.mark.skipif(find_spec("umap") is None, reason="needs umap")])
    if name == "umap-kmeans"
    else name
    for name in [*sorted(CLUSTERERS), "random"]
]


def task(folder: Path, name: str, *, fit: str = "train", **changes: Any) -> dict[str, Any]:
    method = {"name": name, "preset": None, "changes": changes, "n_clusters": None}
    return {"method": method, "fit": fit, "seed": 0, "folder": str(folder), "n_classes": 4}


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_labels_changes_no_prediction(name: str, write_arrays: Callable[..., Path]) -> None:
    order = np.random.default_rng(1).permutation(120)
    is_pixels = name in CLUSTERERS and CLUSTERERS.spec(name).rows == "images"
    made = [{"name": "true"}, {"name": "permuted", "order": order}]
    folders = [write_arrays(**keywords, is_pixels=is_pixels) for keywords in made]
    assert (np.load(folders[0] / "y.npy") != np.load(folders[1] / "y.npy")).any()
    results = [run_seed(task(folder, name, **SHORT.get(name, {}))) for folder in folders]
    assert results[0]["partition_sha256"] == results[1]["partition_sha256"]
    assert results[0]["partition_sha256"].keys() == {"train", "test"}
    assert results[0]["scores"]["train"]["acc"] != results[1]["scores"]["train"]["acc"]


def test_a_fit_gets_rows_and_nothing_else(write_arrays: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Spy(BaseEstimator):
        def fit(self, X: Any, y: Any = None, **keywords: Any) -> None:
            seen.append((X.shape, y, keywords))
            self.labels_ = np.zeros(len(X), dtype=np.int64)

    monkeypatch.setattr(_worker, "make_estimator", lambda *_, **__: Spy())
    result = run_seed(task(write_arrays(), "temi"))
    assert seen[0] == ((90, 12), None, {})
    assert set(result["scores"]) == {"train", "train-batches"}  # it predicts nothing
    run_seed(task(write_arrays(name="more"), "temi", fit="all"))
    assert seen[2][0] == (120, 12)  # the one between is k-means' timing


def test_a_result_is_whole_and_plain(write_arrays: Callable[..., Path]) -> None:
    result = run_seed(task(write_arrays(), "temi", **SHORT["temi"]))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["n_clusters"] == 4
    assert result["scores"]["test"]["n"] == 30
    assert result["scores"]["train"]["n"] == 90
    assert "ece" in result["scores"]["test"]
    assert "mean_max_probability" in result["diagnostics"]
    assert result["cost"]["reference"]["wall_s"] > 0
    assert result["cost"]["peak_rss_mb"] >= result["cost"]["rss_before_fit_mb"] > 0


def test_all_rows_are_fitted_and_scored(write_arrays: Callable[..., Path]) -> None:
    result = run_seed(task(write_arrays(), "kmeans", fit="all"))
    assert set(result["scores"]) == {"all"}
    assert result["scores"]["all"]["n"] == 120
    assert result["scores"]["all"]["acc"] == 1


@pytest.mark.parametrize("name", ["kmeans", "random", "knn-probe"])
def test_references_see_pictures_as_rows_of_numbers(name: str, write_arrays: Callable[..., Path]) -> None:
    result = run_seed(task(write_arrays(is_pixels=True), name))
    assert result["scores"]["test"]["n"] == 30
    assert name == "random" or result["scores"]["test"]["acc"] == 1


@pytest.mark.parametrize("name", ["linear-probe", "knn-probe"])
def test_a_probe_is_a_ceiling_that_sees_the_labels(name: str, write_arrays: Callable[..., Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = run_seed(task(write_arrays(), name))
    assert set(result["scores"]) == {"test"}
    assert result["scores"]["test"]["acc"] > 0.95
    assert "reference" not in result["cost"]


def test_the_hash_of_a_partition_is_of_its_labels() -> None:
    labels = np.array([0, 1, -1])
    assert partition_hash(labels) == partition_hash(labels.astype(np.int32))
    assert partition_hash(labels) != partition_hash(labels[::-1])


def test_lists_of_a_file_are_tuples_for_a_method(write_arrays: Callable[..., Path]) -> None:
    short = {**SHORT["scp"], "hidden_sizes": [8, 8]}
    assert run_seed(task(write_arrays(), "scp", **short))["n_clusters"] == 4


@pytest.mark.slow
def test_a_process_writes_its_result_whole(write_arrays: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(json.dumps({"kind": "fit", **task(write_arrays(), "random")}))
    command = [sys.executable, "-m", "covey.bench.runner._worker", "task.json", "result.json"]
    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert json.loads((tmp_path / "result.json").read_text())["n_clusters"] == 4
