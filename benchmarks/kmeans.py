"""k-means of covey, faiss and scikit-learn in turn: seconds and inertia on rows of 512 features, k = 100.

    OMP_NUM_THREADS=2 python benchmarks/kmeans.py [--rows 50000] [--repeats 5] [--n-init 1] [--n-iter 25] [--note ...]

All take every row, the same number of iterations and restarts; covey's and scikit-learn's time includes greedy
k-means++, faiss starts from random rows. The clock is that of the processor with one thread, else the wall's. The three
run in turn, so that a busy machine is busy for all; read the ratio of the smallest times. Rows are appended to
kmeans.csv beside this file.
"""

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import sklearn.cluster
import torch

from covey.cluster import KMeans

TABLE = Path(__file__).with_suffix(".csv")


def make_rows(n: int = 50_000, d: int = 512) -> np.ndarray:
    """150 overlapping groups in 64 dimensions, mapped to non-negative features as a pooled network gives them."""
    rng = np.random.default_rng(0)
    centers = np.maximum(rng.normal(size=(150, 64)), 0)
    latent = centers[rng.integers(0, 150, n)] + 0.6 * rng.normal(size=(n, 64))
    mixed = latent @ (rng.normal(size=(64, d)) / 8) + 0.3 * rng.normal(size=(n, d))
    return np.maximum(mixed, 0).astype(np.float32)


def with_covey(X: np.ndarray, k: int, n_init: int, n_iter: int, seed: int, *, precision: str) -> float:
    return KMeans(k, n_init=n_init, max_iter=n_iter, tol=0, precision=precision, random_state=seed).fit(X).inertia_


def with_sklearn(X: np.ndarray, k: int, n_init: int, n_iter: int, seed: int) -> float:
    model = sklearn.cluster.KMeans(k, n_init=n_init, max_iter=n_iter, tol=0, random_state=seed)
    return float(model.fit(X).inertia_)


def with_faiss(X: np.ndarray, k: int, n_init: int, n_iter: int, seed: int) -> float:
    model = faiss.Kmeans(X.shape[1], k, niter=n_iter, nredo=n_init, max_points_per_centroid=len(X), seed=seed)
    model.train(X)
    return float(model.index.search(X, 1)[0].sum(dtype=np.float64))  # labels and inertia, as the others give them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n-init", type=int, default=1)
    parser.add_argument("--n-iter", type=int, default=25)
    parser.add_argument("--n-clusters", type=int, default=100)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    X = make_rows(options.rows)
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    clock, now = ("process", time.process_time) if threads == "1" else ("wall", time.perf_counter)
    if threads == "1":
        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
    libraries: dict[str, Callable[..., float]] = {
        f"covey {options.precision}": partial(with_covey, precision=options.precision),
        "faiss": with_faiss,
        "sklearn": with_sklearn,
    }
    seconds: dict[str, list[float]] = {name: [] for name in libraries}
    inertia: dict[str, list[float]] = {name: [] for name in libraries}
    for seed in range(options.repeats):
        for name, fit in libraries.items():
            start = now()
            inertia[name].append(fit(X, options.n_clusters, options.n_init, options.n_iter, seed))
            seconds[name].append(now() - start)
    with TABLE.open("a", newline="") as stream:
        table = csv.writer(stream)
        for name in libraries:
            row = (name, clock, threads, options.rows, options.n_init, options.n_iter, len(seconds[name]),
                   f"{min(seconds[name]):.2f}", f"{statistics.median(seconds[name]):.2f}",
                   f"{statistics.mean(inertia[name]):.0f}", options.note)  # fmt: skip
            table.writerow(row)
            print(*row)
    for other in ("faiss", "sklearn"):
        ratio = min(seconds[f"covey {options.precision}"]) / min(seconds[other])
        print(f"covey takes {ratio:.2f} of the time of {other}")


if __name__ == "__main__":
    main()
