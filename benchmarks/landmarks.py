"""Spectral clustering of the membership of all rows through landmarks: time, memory, agreement with the dense answer.

    python benchmarks/landmarks.py [--rows 50000 1000000]

Codes are drawn: unit rows of width 128 near 20 random directions, with so much noise that many lie between two. For few
rows all of them can be landmarks, which is the dense answer; agreement is the adjusted Rand index with it.
Each size runs in a process of its own; memory is what it adds to the process with the codes in it.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from covey.cluster._landmarks import Spectrum
from covey.metrics import adjusted_rand_score

TABLE = Path(__file__).with_suffix(".csv")
DENSE_ROWS = 4000
N_CLUSTERS, WIDTH, NOISE = 20, 128, 2.0
COLUMNS = ["rows", "landmarks", "cpu_seconds", "wall_seconds", "added_mb", "ari_with_truth", "ari_with_dense"]


def draw_codes(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(N_CLUSTERS, WIDTH)).astype(np.float32)
    y = rng.integers(N_CLUSTERS, size=n)
    C = rng.standard_normal(size=(n, WIDTH), dtype=np.float32)
    C *= NOISE
    C += centers[y]
    C /= np.linalg.norm(C, axis=1, keepdims=True)
    return C, y


def label(C: np.ndarray, n_landmarks: int) -> np.ndarray:
    seeds = torch.Generator().manual_seed(0)
    spectrum = Spectrum.fit(C, "cpu", n_landmarks, sinkhorn=(0.15, 5), seeds=seeds)
    module = spectrum.labels(C, N_CLUSTERS, "cpu")
    with torch.no_grad():
        return np.concatenate([module(torch.from_numpy(part)).argmax(dim=1).numpy() for part in np.array_split(C, 64)])


def measure(n: int, n_landmarks: int) -> dict[str, object]:
    C, y = draw_codes(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    labels = label(C, n_landmarks)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    dense = f"{adjusted_rand_score(label(C, n), labels):.4f}" if n <= DENSE_ROWS else ""
    facts = [n, n_landmarks, f"{cpu:.1f}", f"{wall:.1f}", f"{added:.0f}", f"{adjusted_rand_score(y, labels):.4f}"]
    return dict(zip(COLUMNS, [*facts, dense], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[DENSE_ROWS, 50_000, 1_000_000])
    parser.add_argument("--landmarks", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--once", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(measure(*args.once)))
        return
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for n in args.rows:
            for m in args.landmarks if n <= DENSE_ROWS else [1024]:
                command = [sys.executable, __file__, "--once", str(n), str(m)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                writer.writerow(json.loads(done.stdout))
                file.flush()
                print(done.stdout, flush=True)


if __name__ == "__main__":
    main()
