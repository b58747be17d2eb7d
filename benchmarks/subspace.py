"""Time the codes of EnSC and SSC-OMP, and check them against float64: one line a run in subspace.csv beside this file.

    python benchmarks/subspace.py --sets drawn --rows 50000 --methods ensc ssc-omp

``drawn`` are unit rows of 512 features from 50 subspaces of 12 dimensions, with noise of a tenth of a row's length in
every direction; the others are the sets of feature_sets.py, the rows to fit. The check takes 200 rows at random: for
EnSC the largest violation of the optimality conditions over all rows, for SSC-OMP the largest correlation between a
code's residual and the rows in it, both in float64 and relative to what `tol` is relative to. Seconds are of one core.
"""

import argparse
import csv
import resource
import time
from pathlib import Path

import numpy as np
import torch

from covey._arrays import l2_normalize
from covey.cluster._subspace import Codes, elastic_net, matching_pursuit
from feature_sets import NAMES, load_set

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ["set", "n", "d", "method", "seconds", "mean_code_size", "n_uncertified", "violation", "checked_violation"]
COLUMNS += ["peak_gib", "n_threads"]
ENSC = {"gamma": 10.0, "tau": 0.9, "tol": 1e-3, "n_candidates": 50}
OMP = {"n_nonzero": 10, "tol": 1e-6}


def draw_rows(n: int, *, d: int = 512, n_spaces: int = 50, dimension: int = 12, noise: float = 0.1) -> np.ndarray:
    """Draw unit rows near a union of subspaces."""
    rng = np.random.default_rng(0)
    bases = np.linalg.qr(rng.normal(size=(n_spaces, d, dimension)))[0]
    coordinates = l2_normalize(rng.normal(size=(n, dimension)).astype(np.float32))
    space = rng.integers(n_spaces, size=n)
    rows = np.empty((n, d), dtype=np.float32)
    for label in range(n_spaces):
        rows[space == label] = coordinates[space == label] @ bases[label].T
    return l2_normalize(rows + rng.normal(scale=noise / d**0.5, size=rows.shape).astype(np.float32))


def check(X: np.ndarray, codes: Codes, method: str, *, n_checked: int = 200) -> float:
    """Compute in float64, for some rows, by how much their codes miss what they promise."""
    worst = 0.0
    for row in np.random.default_rng(1).choice(len(X), min(n_checked, len(X)), replace=False):
        used = codes.coefficients[row] != 0
        indices, c = codes.indices[row, used].numpy(), codes.coefficients[row, used].double().numpy()
        own = X[row].astype(np.float64)
        residual = own - c @ X[indices].astype(np.float64)
        if method == "ssc-omp":
            worst = max(worst, float(np.abs(X[indices] @ residual).max(initial=0)))
            continue
        correlations = X.astype(np.float64) @ own
        correlations[row] = 0
        weight = ENSC["gamma"] * ENSC["tau"] / np.abs(correlations).max()
        pull = weight * (X.astype(np.float64) @ residual)
        pull[row] = 0
        wanted = (1 - ENSC["tau"]) * c + ENSC["tau"] * np.sign(c)
        inside = np.abs(pull[indices] - wanted).max(initial=0)
        pull[indices] = 0
        worst = max(worst, inside / ENSC["tau"], np.abs(pull).max() / ENSC["tau"] - 1)
    return worst


def run(name: str, rows: int, method: str) -> dict[str, object]:
    X = draw_rows(rows) if name == "drawn" else l2_normalize(load_set(name).X[:rows])
    tensor = torch.from_numpy(X)
    start = time.process_time()
    codes = elastic_net(tensor, **ENSC) if method == "ensc" else matching_pursuit(tensor, **OMP)
    seconds = time.process_time() - start
    tol = ENSC["tol"] if method == "ensc" else OMP["tol"]
    return {
        "set": name, "n": len(X), "d": X.shape[1], "method": method, "seconds": f"{seconds:.1f}",
        "mean_code_size": f"{float((codes.coefficients != 0).sum(dim=1).double().mean()):.1f}",
        "n_uncertified": int((codes.residuals > tol).sum()), "violation": f"{float(codes.residuals.max()):.2g}",
        "checked_violation": f"{check(X, codes, method):.2g}",
        "peak_gib": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f}",
        "n_threads": torch.get_num_threads(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=("drawn", *NAMES), default=["drawn"])
    parser.add_argument("--rows", type=int, default=50_000, help="Most rows to take.")
    parser.add_argument("--methods", nargs="+", choices=("ensc", "ssc-omp"), default=["ensc", "ssc-omp"])
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    for name in args.sets:
        for method in args.methods:
            line = run(name, args.rows, method)
            print(line, flush=True)
            is_new = not args.out.exists()
            with args.out.open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(line)


if __name__ == "__main__":
    main()
