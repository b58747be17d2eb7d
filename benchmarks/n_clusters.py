"""How many clusters? What each criterion says of sets whose number of classes is known, and how long it takes.

    python benchmarks/n_clusters.py choices [SET ...]    every criterion on plain features
    python benchmarks/n_clusters.py cpp [SET ...]        algorithm 1 on a trained CPP
    python benchmarks/n_clusters.py speed                the partitions at once against one fit after the other

Rows are appended to n_clusters.csv, n_clusters_cpp.csv and n_clusters_speed.csv. The number of classes is written
beside the answers and takes no part in them. All rows of a set are used; of CIFAR-10 the 20,000 training images.
"""

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feature_sets import load_set

SEEDS = range(5)
CPP_SEEDS = range(3)
# Name and the metric that suits its features.
SETS = {
    "digits": "euclidean",
    "umap-usps": "euclidean",
    "umap-mnist": "euclidean",
    "moco50": "cosine",
    "imagenette": "cosine",
    "cifar10": "cosine",
}
CPP_SETS = ("moco50", "imagenette", "cifar10")


def main() -> None:
    kind, *names = sys.argv[1:]
    run = {"choices": choices, "cpp": coding_lengths, "speed": speed}[kind]
    name = {"choices": "n_clusters.csv", "cpp": "n_clusters_cpp.csv", "speed": "n_clusters_speed.csv"}[kind]
    _append(Path(__file__).with_name(name), run(names))


def choices(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    from covey.selection import select_n_clusters

    for name in names or SETS:
        X, n_classes = _all_rows(name)
        for seed in SEEDS:
            start = time.perf_counter()
            result = select_n_clusters(X, metric=SETS[name], random_state=seed)
            seconds = time.perf_counter() - start
            evidence = result.to_dict()
            for criterion, choice in evidence["choices"].items():
                low, high = choice["interval"]
                yield {
                    "set": name, "n": len(X), "d": X.shape[1], "n_rows": result.n_rows,
                    "n_components": result.n_components, "n_classes": n_classes, "seed": seed, "criterion": criterion,
                    "n_clusters": choice["n_clusters"], "interval_low": low, "interval_high": high,
                    "granularities": " ".join(f"{g.name}={g.n_clusters}" for g in result.granularities)
                    if criterion == result.criterion else "",
                    "n_candidates": len(result.curve), "seconds": round(seconds, 2),
                }  # fmt: skip


def coding_lengths(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    from covey.cluster import CPP
    from covey.selection import coding_length_curve

    for name in names or CPP_SETS:
        X, n_classes = _all_rows(name)
        for seed in CPP_SEEDS:
            start = time.perf_counter()
            cpp = CPP.from_preset("mlp", random_state=seed).fit(X)  # with which the recorded runs were made
            fitted = time.perf_counter()
            curve = coding_length_curve(cpp, X)
            seconds = time.perf_counter() - fitted
            yield {
                "set": name, "n": len(X), "d": curve.n_components, "n_classes": n_classes, "seed": seed,
                "n_clusters": curve.n_clusters, "is_minimum": curve.is_minimum,
                "flat_low": curve.flat[0], "flat_high": curve.flat[-1],
                "fit_seconds": round(fitted - start, 1), "curve_seconds": round(seconds, 1),
                "candidates": " ".join(map(str, curve.candidates)),
                "nats_per_row": " ".join(f"{length / len(X):.4f}" for length in curve.lengths),
            }  # fmt: skip


def speed(_: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Time the whole choice, and its partitions beside fits one after the other, in seconds of the processor."""
    from covey.cluster import KMeans
    from covey.selection import Sample, select_n_clusters
    from covey.selection._row_sample import reduce_rows

    X, _n_classes = _all_rows("cifar10")
    for n in (1000, 5000):
        rows = X[np.random.default_rng(0).permutation(len(X))[:n]]
        start = time.process_time()
        select_n_clusters(rows, random_state=0)
        whole = time.process_time() - start
        reduced = reduce_rows(rows, "cosine", 0)
        for k in (10, 35, 70):
            at_once = _best(lambda reduced=reduced, k=k: Sample(reduced, None, 0).partitions(k))
            one_by_one = _best(lambda reduced=reduced, k=k: Sample(reduced, KMeans(n_init=3), 0).partitions(k))
            yield {
                "n": n, "d": rows.shape[1], "whole_choice_cpu_s": round(whole, 2), "n_clusters": k,
                "at_once_cpu_s": round(at_once, 3), "one_by_one_cpu_s": round(one_by_one, 3),
                "ratio": round(one_by_one / at_once, 2),
            }  # fmt: skip


def _best(function: Any, n_times: int = 2) -> float:
    seconds = []
    for _ in range(n_times):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def _all_rows(name: str) -> tuple[np.ndarray, int]:
    part = load_set(name)
    X = part.X if name == "cifar10" else np.concatenate([part.X, part.X_test])
    return np.ascontiguousarray(X, dtype=np.float32), len(np.unique(part.y))


def _append(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print({name: value for name, value in row.items() if name not in ("candidates", "nats_per_row")}, flush=True)


if __name__ == "__main__":
    main()
