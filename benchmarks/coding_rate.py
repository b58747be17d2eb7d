"""The compressed rate R^c, forward and backward, against a plain implementation: CPU time and memory, on one thread.

    python benchmarks/coding_rate.py [--rounds 3]

The plain one forms all weighted Gram matrices at once, as a batched product, and takes `torch.logdet` of them (LU);
autograd does the rest. Each round runs in a process of its own, the two in turn, so that peak memory is its own; what a
process holds before is taken off. The plain one cannot hold 1,024 columns of width 1,024 in 24 GiB: 64 are measured.
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
from torch.nn import functional as F

from covey.objectives import cluster_coding_rate

TABLE = Path(__file__).with_suffix(".csv")
SHAPES = [(1024, 128, 1024), (512, 128, 64), (1024, 1024, 64)]  # rows, width, columns


def plain_rate(Z: torch.Tensor, membership: torch.Tensor, *, eps_squared: float = 0.1) -> torch.Tensor:
    n, d = Z.shape
    mass = membership.sum(dim=0)
    gram = (Z.T * membership.T[:, None]) @ Z  # (columns, d, d)
    return (mass * torch.logdet(torch.eye(d) + d / eps_squared * gram / mass[:, None, None])).sum() / (2 * n)


def measure(kind: str, n: int, d: int, k: int) -> dict[str, float]:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    Z = F.normalize(torch.randn(n, d, generator=generator), dim=1).requires_grad_()
    codes = F.normalize(torch.randn(n, 16, generator=generator), dim=1)
    membership = ((codes @ codes[:k].T).abs() / 0.15).softmax(dim=1).requires_grad_()
    rate = plain_rate if kind == "plain" else cluster_coding_rate
    rate(Z[:64, :8], membership[:64, :2]).backward()  # what is set up once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    value = rate(Z, membership)
    value.backward()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "peak_mb": peak / 1024, "rate": float(value)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(measure(args.once[0], *map(int, args.once[1:]))))
        return
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rows", "width", "columns", "kind", "rounds", "cpu_seconds_median", "peak_mb_median", "rate"])
        for shape in SHAPES:
            runs: dict[str, list[dict[str, float]]] = {"plain": [], "covey": []}
            for _ in range(args.rounds):
                for kind, results in runs.items():
                    command = [sys.executable, __file__, "--once", kind, *map(str, shape)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    results.append(json.loads(done.stdout))
            for kind, results in runs.items():
                median = {name: float(np.median([result[name] for result in results])) for name in results[0]}
                row = [*shape, kind, args.rounds, f"{median['seconds']:.3f}", f"{median['peak_mb']:.0f}"]
                writer.writerow([*row, f"{median['rate']:.4f}"])
                file.flush()
                print(*row, f"{median['rate']:.4f}", flush=True)


if __name__ == "__main__":
    main()
