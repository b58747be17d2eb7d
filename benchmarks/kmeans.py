"""k-means of covey, faiss and scikit-learn in turn: seconds and inertia on 50,000 x 512 rows, k = 100.

    OMP_NUM_THREADS=2 python benchmarks/kmeans.py [--repeats 5] [--n-init 1] [--n-iter 25]

All take every row, the same number of iterations and restarts; covey's and scikit-learn's time includes greedy
k-means++, faiss starts from random rows. The three run in turn, so that a busy machine is busy for all; read the ratio
of the medians, and the smallest times. Rows are appended to kmeans.csv beside this file.
"""

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import sklearn.cluster

from covey.cluster import KMeans

TABLE = Path(__file__).with_suffix(".csv")


def make_rows(n: int = 50_000, d: int = 512) -> np.ndarray:
    """150 overlapping groups in 64 dimensions, mapped to non-negative features as a pooled network gives them."""
    rng = np.random.default_rng(0)
    centers = np.maximum(rng.normal(size=(150, 64)), 0)
    latent = centers[rng.integers(0, 150, n)] + 0.6 * rng.normal(size=(n, 64))
    mixed = latent @ (rng.normal(size=(64, d)) / 8) + 0.3 * rng.normal(size=(n, d))
    return np.maximum(mixed, 0).astype(np.float32)


def with_covey(X: np.ndarray, k: int, n_init: int, n_iter: int, seed: int) -> float:
    return KMeans(k, n_init=n_init, max_iter=n_iter, tol=0, random_state=seed).fit(X).inertia_


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
    options = parser.parse_args()
    X = make_rows()
    libraries: dict[str, Callable[..., float]] = {"covey": with_covey, "faiss": with_faiss, "sklearn": with_sklearn}
    seconds: dict[str, list[float]] = {name: [] for name in libraries}
    inertia: dict[str, list[float]] = {name: [] for name in libraries}
    for seed in range(options.repeats):
        for name, fit in libraries.items():
            start = time.perf_counter()
            inertia[name].append(fit(X, options.n_clusters, options.n_init, options.n_iter, seed))
            seconds[name].append(time.perf_counter() - start)
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    with TABLE.open("a", newline="") as stream:
        table = csv.writer(stream)
        for name in libraries:
            row = (name, "wall", threads, options.n_init, options.n_iter, len(seconds[name]),
                   f"{min(seconds[name]):.2f}", f"{statistics.median(seconds[name]):.2f}",
                   f"{statistics.mean(inertia[name]):.0f}", "")  # fmt: skip
            table.writerow(row)
            print(*row)
    for other in ("faiss", "sklearn"):
        ratio = statistics.median(seconds["covey"]) / statistics.median(seconds[other])
        print(f"covey takes {ratio:.2f} of the time of {other}")


if __name__ == "__main__":
    main()
