"""Time a training step of TEMI: stacked heads, in chunks of several sizes, against a plain loop over heads.

    python benchmarks/temi_speed.py [--n-features 128] [--n-clusters 10] [--n-heads 16] [--out FILE.csv]

All variants run in turn within each round, so that what else the machine does hits them alike; the median and the ratio
to the plain loop count, not the seconds.
"""

import argparse
import csv
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from covey._torch import matmul_dtype
from covey.cluster._temi import Loss, SelfDistillation
from covey.cluster._training import adamw
from covey.nn import StackedHeads

BATCH = 512


class PlainHead(nn.Module):
    """One head in float32, as one writes it first."""

    def __init__(self, n_features, n_clusters):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(n_features, 512), nn.GELU(), nn.Linear(512, 256))
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(256, n_clusters, bias=False))

    def forward(self, x):
        return (self.last(nn.functional.normalize(self.mlp(x), dim=-1)) / 0.1).softmax(dim=-1)


def plain_step(n_heads, n_features, n_clusters, pairs):
    """Make a step that loops over heads: teacher, student, products of probabilities, AdamW, moving average."""
    students = nn.ModuleList(PlainHead(n_features, n_clusters) for _ in range(n_heads))
    teachers = nn.ModuleList(PlainHead(n_features, n_clusters) for _ in range(n_heads)).requires_grad_(False)
    teachers.load_state_dict(students.state_dict())
    priors = [torch.full((n_clusters,), 1 / n_clusters) for _ in range(n_heads)]
    optimizer = torch.optim.AdamW(students.parameters(), lr=1e-3, weight_decay=1e-4)

    def step():
        targets = [teacher(pairs).chunk(2) for teacher in teachers]
        for prior, (first, second) in zip(priors, targets, strict=True):
            prior.mul_(0.9).add_(0.1 * torch.cat([first, second]).mean(dim=0))
        weight = torch.stack([(first * second).sum(dim=-1) for first, second in targets]).mean(dim=0)
        losses = []
        for student, prior, (t_first, t_second) in zip(students, priors, targets, strict=True):
            s_first, s_second = student(pairs).chunk(2)
            for s, t in ((s_first, t_second), (s_second, t_first)):
                losses.append(-(weight * ((s * t) ** 0.6 / prior).sum(dim=-1).log()).mean())
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(teachers.parameters(), students.parameters(), strict=True):
                old.mul_(0.98).add_(0.02 * new)

    return step


def stacked_step(n_heads, n_features, n_clusters, pairs, chunk):
    """Make covey's step, with `chunk` heads at a time."""
    dtype = matmul_dtype(pairs.device)
    generator = torch.Generator().manual_seed(0)
    students = [
        StackedHeads(min(chunk, n_heads - start), n_features, n_clusters, generator=generator, compute_dtype=dtype)
        for start in range(0, n_heads, chunk)
    ]
    distillation = SelfDistillation(students, loss=Loss("temi", 0.6, 4.0), prior_momentum=0.9)
    optimizer = adamw(students, weight_decay=1e-4)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    rows = pairs.to(dtype)

    def step():
        optimizer.zero_grad(set_to_none=True)
        distillation.backward(rows)
        optimizer.step()
        distillation.update_teachers(0.98)

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-features", type=int, default=128)
    parser.add_argument("--n-clusters", type=int, default=10)
    parser.add_argument("--n-heads", type=int, default=16)
    parser.add_argument("--n-rounds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sizes = (args.n_heads, args.n_features, args.n_clusters)
    pairs = torch.randn(2 * BATCH, args.n_features, generator=torch.Generator().manual_seed(0))
    steps = {"plain loop": plain_step(*sizes, pairs)}
    for chunk in sorted({1, 4, args.n_heads}):
        steps[f"stacked, {chunk} at a time"] = stacked_step(*sizes, pairs, chunk)
    seconds = {name: [] for name in steps}
    for round_ in range(args.n_rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_ > 0:  # the first is for warming up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows = [
        (name, *sizes, torch.get_num_threads(), f"{median:.4f}", f"{medians['plain loop'] / median:.2f}")
        for name, median in medians.items()
    ]
    header = ("variant", "n_heads", "n_features", "n_clusters", "n_threads", "median_s", "times_as_fast")
    for row in (header, *rows):
        print(*row, sep="\t")
    if args.out:
        with args.out.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
