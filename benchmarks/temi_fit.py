"""Time whole fits of TEMI on 50,000 x 768 rows, k = 10 and k = 100: neighbours, k-means starts, training, labels.

    OMP_NUM_THREADS=2 python benchmarks/temi_fit.py [--n-rows 50000] [--n-features 768] [--n-clusters 10 100]

Also says how long the preset ``paper`` would take, from the time of 20 of its steps; it is not run to its end. Rows are
appended to temi_fit.csv beside this file, with the peak memory of the process.
"""

import argparse
import csv
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from covey.cluster import TEMI
from covey.neighbors import nearest_neighbors

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = (
    *("n_rows", "n_features", "n_clusters", "n_threads", "neighbors_s", "fit_s", "total_s", "peak_gib"),
    *("paper_step_s", "paper_hours", "n_empty_clusters"),
)
_STEPS_TIMED = 20


def make_rows(n_rows: int, n_features: int) -> np.ndarray:
    """150 overlapping groups in 64 dimensions, mapped to non-negative features as a pooled network gives them."""
    rng = np.random.default_rng(0)
    centers = np.maximum(rng.normal(size=(150, 64)), 0)
    latent = centers[rng.integers(0, 150, n_rows)] + 0.6 * rng.normal(size=(n_rows, 64))
    mixed = latent @ (rng.normal(size=(64, n_features)) / 8) + 0.3 * rng.normal(size=(n_rows, n_features))
    return np.maximum(mixed, 0).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-rows", type=int, default=50_000)
    parser.add_argument("--n-features", type=int, default=768)
    parser.add_argument("--n-clusters", type=int, nargs="+", default=[10, 100])
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # 20 steps from random weights leave clusters empty
    X = make_rows(args.n_rows, args.n_features)
    for k in args.n_clusters:
        start = time.perf_counter()
        graph = nearest_neighbors(X, n_neighbors=50)
        found = time.perf_counter()
        temi = TEMI(k, random_state=0).fit(X, neighbors=graph)
        end = time.perf_counter()
        row = [args.n_rows, args.n_features, k, torch.get_num_threads(), found - start, end - found, end - start]
        row += [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]
        times = [time_paper(X, graph, k, n_steps) for n_steps in (1, 1 + _STEPS_TIMED)]
        step = (times[1] - times[0]) / _STEPS_TIMED
        n_steps = 200 * (args.n_rows // 512)
        row += [step, step * n_steps / 3600, temi.diagnostics_["n_empty_clusters"]]
        record = dict(zip(COLUMNS, (f"{v:.3f}" if isinstance(v, float) else v for v in row), strict=True))
        is_new = not TABLE.exists()
        with TABLE.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow(record)
        print(record, flush=True)


def time_paper(X: np.ndarray, graph: object, k: int, n_steps: int) -> float:
    """Return the seconds of a fit with the paper's settings that ends after `n_steps`."""
    start = time.perf_counter()
    TEMI.from_preset("paper", n_clusters=k, n_epochs=None, n_steps=n_steps, random_state=0).fit(X, neighbors=graph)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
