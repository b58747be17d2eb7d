"""Exact 50-NN of covey, faiss and scikit-learn in turn on rows of 768 features: seconds, and recall against float32.

    OMP_NUM_THREADS=2 python benchmarks/neighbors.py [--rows 50000] [--repeats 3] [--without-sklearn] [--note ...]

All normalize the rows within the clock, which is that of the processor with one thread, else the wall's; faiss is
IndexFlatIP asked for 51 with the row itself dropped. The libraries run in turn, so that a busy machine is busy for all;
read the ratio of the smallest times. Rows are appended to neighbors.csv beside this file.
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
import sklearn.neighbors
import torch

from covey._arrays import l2_normalize
from covey.neighbors import nearest_neighbors
from kmeans import make_rows

TABLE = Path(__file__).with_suffix(".csv")


def with_covey(X: np.ndarray, n_neighbors: int, precision: str) -> np.ndarray:
    return nearest_neighbors(X, n_neighbors=n_neighbors, precision=precision).indices


def with_faiss(X: np.ndarray, n_neighbors: int) -> np.ndarray:
    unit = l2_normalize(X)
    index = faiss.IndexFlatIP(X.shape[1])
    index.add(unit)
    found = index.search(unit, n_neighbors + 1)[1]
    own = found == np.arange(len(X))[:, None]
    own[~own.any(axis=1), -1] = True  # a row whose twins crowded it out loses its last neighbor instead
    return found[~own].reshape(len(X), n_neighbors)


def with_sklearn(X: np.ndarray, n_neighbors: int) -> np.ndarray:
    model = sklearn.neighbors.NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute", metric="cosine")
    return model.fit(X).kneighbors(return_distance=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--n-neighbors", type=int, default=50)
    parser.add_argument("--without-sklearn", action="store_true")
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    X = make_rows(options.rows, 768)
    searches: dict[str, Callable[[], np.ndarray]] = {
        "covey float32": lambda: with_covey(X, options.n_neighbors, "float32"),
        "covey bfloat16": lambda: with_covey(X, options.n_neighbors, "bfloat16"),
        "faiss": lambda: with_faiss(X, options.n_neighbors),
    }
    if not options.without_sklearn:
        searches["sklearn"] = lambda: with_sklearn(X, options.n_neighbors)
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    found: dict[str, np.ndarray] = {}
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    clock, now = ("process", time.process_time) if threads == "1" else ("wall", time.perf_counter)
    if threads == "1":
        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
    for _ in range(options.repeats):
        for name, search in searches.items():
            start = now()
            found[name] = search()
            seconds[name].append(now() - start)
    exact = np.sort(found["covey float32"], axis=1)
    with TABLE.open("a", newline="") as stream:
        table = csv.writer(stream)
        for name, indices in found.items():
            recall = np.mean([np.isin(a, b).mean() for a, b in zip(exact, indices, strict=True)])
            row = (name, clock, threads, options.rows, options.repeats, f"{min(seconds[name]):.2f}",
                   f"{statistics.median(seconds[name]):.2f}", f"{recall:.6f}", options.note)  # fmt: skip
            table.writerow(row)
            print(*row)
    print(f"covey float32 takes {min(seconds['covey float32']) / min(seconds['faiss']):.2f} of the time of faiss")


if __name__ == "__main__":
    main()
