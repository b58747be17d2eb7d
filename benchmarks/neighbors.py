"""Exact 50-NN of covey, faiss and scikit-learn in turn on rows of 768 features: seconds, and recall against float32.

    OMP_NUM_THREADS=2 python benchmarks/neighbors.py [--rows 50000] [--repeats 3] [--without-sklearn]

All normalise the rows within the clock; faiss is IndexFlatIP asked for 51 with the row itself dropped. The libraries
run in turn, so that a busy machine is busy for all. Rows are appended to neighbors.csv beside this file.
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
    own[~own.any(axis=1), -1] = True  # a row whose twins crowded it out loses its last neighbour instead
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
    for _ in range(options.repeats):
        for name, search in searches.items():
            start = time.perf_counter()
            found[name] = search()
            seconds[name].append(time.perf_counter() - start)
    exact = np.sort(found["covey float32"], axis=1)
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    with TABLE.open("a", newline="") as stream:
        table = csv.writer(stream)
        for name, indices in found.items():
            recall = np.mean([np.isin(a, b).mean() for a, b in zip(exact, indices, strict=True)])
            row = (name, "wall", threads, options.rows, options.repeats, f"{min(seconds[name]):.2f}",
                   f"{statistics.median(seconds[name]):.2f}", f"{recall:.6f}", "")  # fmt: skip
            table.writerow(row)
            print(*row)


if __name__ == "__main__":
    main()
