"""One task in a process of its own: make rows ready, or fit one seed and score it.

Run as ``python -m covey.bench.runner._worker TASK RESULT``, two JSON files. Labels enter after the fit, for scores
alone; a probe is the exception that its name says.
"""

import ctypes
import hashlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from covey._files import write_text
from covey.bench._experiment import RowsSpec
from covey.bench._references import LINEAR, PROBES, RANDOM, RandomLabels
from covey.bench.datasets import DATASETS, include_files
from covey.bench.runner._machine import Meter, hardware, resident_mb, versions
from covey.bench.runner._prepare import Arrays, load_arrays, prepare_rows
from covey.bench.runner._scores import score_batches, score_labels
from covey.cluster import CLUSTERERS
from covey.pipeline import make_estimator
from covey.probes import ProbeResult, knn_probe, linear_probe
from covey.types import FloatArray, IntArray

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_LONGEST_LIST: Final = 64
_MOST_WARNINGS: Final = 5


def main(task_path: Path, result_path: Path) -> None:
    """Do the task of one file and write its result to another, which appears whole."""
    _die_with_parent()
    task = json.loads(task_path.read_text(encoding="utf-8"))
    if task["kind"] == "prepare":
        rows = RowsSpec(**{**task["rows"], "features": tuple(task["rows"]["features"])})
        with include_files(DATASETS, [Path(path) for path in task["include"]]):
            facts = prepare_rows(rows, Path(task["data"]))
        result = {**facts, "hardware": hardware(), "versions": versions()}
    else:
        result = run_seed(task)
    write_text(result_path, json.dumps(result, allow_nan=False))


def _die_with_parent() -> None:
    """Ask Linux to end this process with the one that started it; a killed scheduler must leave nothing behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_seed(task: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one seed and score it.

    Parameters
    ----------
    task : mapping
        ``method`` (fields of `Method`), ``fit`` ("train" or "all"), ``seed``, ``folder`` of the arrays, ``n_classes``.

    Returns
    -------
    result : dict
        ``n_clusters``, ``scores`` by what was scored, ``partition_sha256``, ``diagnostics``, ``warnings`` and ``cost``.
    """
    arrays = load_arrays(Path(task["folder"]))
    method = task["method"]
    n_clusters = int(method["n_clusters"] or task["n_classes"])
    if method["name"] in PROBES:
        return {"n_clusters": n_clusters, **_run_probe(method["name"], flatten(arrays), task["seed"])}
    estimator = build(method, n_clusters, task["seed"])
    if method["name"] == RANDOM or CLUSTERERS.spec(method["name"]).rows == "features":
        arrays = flatten(arrays)
    X, y = rows_to_fit(arrays, task["fit"])
    before_mb = resident_mb(peak=False)
    with warnings.catch_warnings(record=True) as caught, Meter() as fitting:
        warnings.simplefilter("always")
        fit(estimator, X, arrays.views if task["fit"] == "train" else None, method=method["name"])
    peak_mb = resident_mb(peak=True)
    labels, scores, predicting = {task["fit"]: np.asarray(estimator.labels_)}, {}, Meter()
    scores[task["fit"]] = score_labels(y, labels[task["fit"]], _table(getattr(estimator, "probabilities_", None)))
    if task["fit"] == "train":
        scores["train-batches"] = score_batches(y, labels["train"])
        if hasattr(estimator, "predict"):
            with predicting:
                labels["test"] = np.asarray(estimator.predict(arrays.X_test))
            scores["test"] = score_labels(arrays.y_test, labels["test"], _predict_proba(estimator, arrays.X_test))
    return {
        "n_clusters": n_clusters,
        "scores": scores,
        "partition_sha256": {part: partition_hash(values) for part, values in labels.items()},
        "diagnostics": _plain(getattr(estimator, "diagnostics_", {})),
        "warnings": _words(caught),
        "cost": {
            **fitting.to_dict(),
            "predict_wall_s": predicting.to_dict()["wall_s"],
            "peak_rss_mb": peak_mb,
            "rss_before_fit_mb": before_mb,
            "reference": _time_reference(X, n_clusters),
        },
    }


def rows_to_fit(arrays: Arrays, fit: str) -> tuple[Any, IntArray]:
    """Return the rows that a fit sees, and their classes for the scores: those to fit, or all."""
    if fit == "train":
        return arrays.X, arrays.y
    return np.concatenate([arrays.X, arrays.X_test]), np.concatenate([arrays.y, arrays.y_test])


def flatten(arrays: Arrays) -> Arrays:
    """Return images as rows of numbers, for what is not a method on images; rows of features stay as they are."""
    if arrays.X.ndim == 2:
        return arrays
    rows = (part.reshape(len(part), -1).astype(np.float32) for part in (arrays.X, arrays.X_test))
    return arrays._replace(**dict(zip(("X", "X_test"), rows, strict=True)))


def build(method: Mapping[str, Any], n_clusters: int, seed: int) -> Any:
    """Make the estimator of a method, or the reference of that name."""
    if method["name"] == RANDOM:
        return RandomLabels(n_clusters, seed)
    return make_estimator(
        method["name"],
        n_clusters,
        random_state=seed,
        device="auto",
        preset=method["preset"],
        params={name: tuple(v) if isinstance(v, list) else v for name, v in method["changes"].items()},
    )


def fit(estimator: Any, X: Any, views: FloatArray | None, *, method: str) -> None:
    """Fit on rows, and on their views if there are some and the method takes them. No label comes here."""
    takes_views = views is not None and method in CLUSTERERS and CLUSTERERS.spec(method).takes_views
    estimator.fit(X, **({"views": views} if takes_views else {}))


def partition_hash(labels: IntArray) -> str:
    """Return the sha256 of labels, as int64 in little-endian order."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").data).hexdigest()


def _run_probe(name: str, arrays: Arrays, seed: int) -> dict[str, Any]:
    """Train a probe on the classes of the rows to fit and score the others: a ceiling, not a method."""
    probe: Callable[..., ProbeResult] = partial(linear_probe, random_state=seed) if name == LINEAR else knn_probe
    with Meter() as meter, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = probe(arrays.X, arrays.y, arrays.X_test, arrays.y_test)
    labels = np.asarray(result.predictions)
    return {
        "scores": {"test": score_labels(arrays.y_test, labels)},
        "partition_sha256": {"test": partition_hash(labels)},
        "diagnostics": _plain(result.settings),
        "warnings": _words(caught),
        "cost": {**meter.to_dict(), "peak_rss_mb": resident_mb(peak=True)},
    }


def _words(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return the first of the warnings, each once."""
    return list(dict.fromkeys(str(warning.message) for warning in caught))[:_MOST_WARNINGS]


def _table(probabilities: Any) -> FloatArray | None:
    """Return probabilities if there is one for each cluster; some methods give one a row."""
    return probabilities if probabilities is not None and np.ndim(probabilities) == 2 else None


def _predict_proba(estimator: Any, X: Any) -> FloatArray | None:
    return _table(estimator.predict_proba(X)) if hasattr(estimator, "predict_proba") else None


def _plain(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what would make a line long; what is not a finite number becomes text."""

    def is_short(value: Any) -> bool:
        return not isinstance(value, list | dict) or len(value) <= _LONGEST_LIST

    def finite(value: Any) -> Any:
        return str(value) if isinstance(value, float) and not np.isfinite(value) else value

    return {name: finite(value) for name, value in diagnostics.items() if is_short(value)}


def _time_reference(X: Any, n_clusters: int) -> dict[str, float]:
    """Time k-means on the same rows in the same process: the unit in which costs are reported."""
    flat = X if X.ndim == 2 else np.reshape(X, (len(X), -1)).astype(np.float32)
    with warnings.catch_warnings(), Meter() as meter:
        warnings.simplefilter("ignore")
        make_estimator("kmeans", n_clusters, random_state=0, device="auto").fit(flat)
    return meter.to_dict()


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
