"""What methods share that train heads on features in memory: pairs, batches, the training loop, diagnostics."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.functional import normalize

from covey._arrays import iter_chunks
from covey._torch import make_generator, resolve_float64_device, to_numpy, to_tensor
from covey.cluster._kmeans import kmeans, restart_seeds
from covey.errors import ConvergenceError
from covey.metrics import cluster_size_kl, entropy
from covey.neighbors import nearest_neighbors
from covey.types import FloatArray, IntArray, NeighborGraph, Progress

Precision = Literal["auto", "float32", "bfloat16"]

_PREDICT_ROWS = 4096
_START_ITERATIONS = 20
_MOST_PROBABILITIES = 2**29  # kept after training: 2 GiB
_GUESSING = 0.95  # of the entropy of a guess


class TrainingLength(NamedTuple):
    """How many rows a step has, and how many steps a pass and the whole training have."""

    batch_size: int
    steps_per_epoch: int
    n_steps: int

    @classmethod
    def of(cls, n_rows: int, batch_size: int, n_steps: int, n_epochs: int | None) -> "TrainingLength":
        """Cut the batch to the data, and count the steps: those of `n_epochs` passes if given, else `n_steps`."""
        batch_size = min(batch_size, n_rows)
        steps_per_epoch = n_rows // batch_size
        return cls(batch_size, steps_per_epoch, n_steps if n_epochs is None else n_epochs * steps_per_epoch)


def make_generators(random_state: Any, device: torch.device) -> tuple[torch.Generator, torch.Generator]:
    """Make a generator on the CPU for weights and, seeded by it, one on the device for batches."""
    on_cpu = make_generator(random_state)
    seed = int(torch.randint(2**31, (), generator=on_cpu))
    return on_cpu, make_generator(seed, device)


def partner_table(
    X: FloatArray, neighbors: NeighborGraph | None, n_neighbors: int, *, include_self: bool, device: str
) -> IntArray:
    """Return the rows that may be drawn as the second of a pair with each row, (n, k); nearest first."""
    n_rows = len(X)
    n_wanted = min(n_neighbors, n_rows - 1)
    own = np.arange(n_rows)[:, None]
    if n_wanted == 0:
        return own
    if neighbors is None:
        neighbors = nearest_neighbors(X, n_neighbors=n_wanted, device=device)
    table = neighbors.indices[:, :n_wanted]
    if len(table) != n_rows:
        raise ValueError(
            f"neighbors has {len(table)} rows, X has {n_rows}; they must describe the same rows in the same order."
        )
    return np.hstack([own, table[:, :-1]]) if include_self else table


def kmeans_starts(X: Tensor, n_clusters: int, seeds: Sequence[int], *, spherical: bool = False) -> Tensor:
    """Run a short k-means on rows (n, d) for each seed; return the labels (n_seeds, n) that heads start from."""
    rows = X.to(resolve_float64_device(str(X.device)))
    if spherical:
        rows = normalize(rows, dim=1)
    drawn = [restart_seeds(seed, 1)[0] for seed in seeds]
    solutions = kmeans(rows, n_clusters, drawn, spherical=spherical, max_iter=_START_ITERATIONS)
    return torch.stack([solution.labels for solution in solutions]).to(X.device)


def iter_batches(n_rows: int, batch_size: int, *, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers without end: each epoch is shuffled anew, rows that fill no batch are left out.

    The row numbers are on the generator's device. `batch_size` must not exceed `n_rows`.
    """
    while True:
        order = torch.randperm(n_rows, generator=generator, device=generator.device)
        yield from order[: n_rows - n_rows % batch_size].view(-1, batch_size)


def adamw(modules: Iterable[nn.Module], *, weight_decay: float) -> torch.optim.AdamW:
    """Make a fused AdamW without weight decay of biases and norms; its rate is set at each step."""
    named = [item for module in modules for item in module.named_parameters()]
    decayed = [parameter for name, parameter in named if "bias" not in name and parameter.ndim > 1]
    spared = [parameter for name, parameter in named if "bias" in name or parameter.ndim == 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def train(
    backward: Callable[[Tensor, int], Tensor],
    batches: Iterator[Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    n_steps: int,
    steps_per_epoch: int,
    rate_at: Callable[[int], float],
    after_step: Callable[[], None] = lambda: None,
    stop: Callable[[list[Tensor]], bool] = lambda _: False,
    progress: Progress | None = None,
) -> tuple[Tensor, int]:
    """Train for `n_steps` at most; return the mean losses of each epoch, (n_epochs, n_losses), and the steps made.

    `backward(rows, step)` adds gradients and returns detached losses (n_losses,). Nothing here waits for the device
    before the end of an epoch, when `stop` may end the training. Raises if a loss is NaN or infinite.
    """
    history: list[Tensor] = []
    total, n_summed = torch.zeros(()), 0
    for step in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        losses = backward(next(batches), step)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        optimizer.step()
        after_step()
        total, n_summed = (losses + total if n_summed else losses), n_summed + 1
        if n_summed == steps_per_epoch or step + 1 == n_steps:
            history.append(total / n_summed)
            total, n_summed = torch.zeros(()), 0
            if progress is not None:
                progress("train", step + 1, n_steps)
            if not history[-1].isfinite().all():
                raise ConvergenceError(f"The loss is NaN or infinite after {step + 1} steps: lower the learning rate.")
            if stop(history):
                break
    return torch.stack(history), step + 1


def stalls(tol: float | None, *, n_steps: int, steps_per_epoch: int) -> Callable[[list[Tensor]], bool]:
    """Return the rule that ends a training once a tenth of `n_steps` lowered the mean loss by less than `tol`."""
    window = max(1, round(n_steps / 10 / steps_per_epoch))  # epochs

    def has_stalled(history: list[Tensor]) -> bool:
        if tol is None or len(history) < 2 * window:
            return False
        before, after = (torch.stack(part).mean() for part in (history[-2 * window : -window], history[-window:]))
        return bool(after > before - tol)

    return has_stalled


def iter_outputs(
    function: Callable[[Tensor], Tensor], head: nn.Module, X: FloatArray, device: str
) -> Iterator[FloatArray]:
    """Yield the result of a function of rows (rows, d), a chunk of rows at a time.

    In float64, so that a row's result does not depend on the rows beside it. `head` is the module that the function
    calls; it is moved to the device.
    """
    place = resolve_float64_device(device)
    head.to(place, torch.float64)
    for rows in iter_chunks(len(X), _PREDICT_ROWS):
        with torch.no_grad():
            outputs = function(to_tensor(X[rows], place).double())
        yield to_numpy(outputs.float())


def collect_predictions(
    chunks: Iterable[FloatArray], n_rows: int
) -> tuple[IntArray, FloatArray | None, dict[str, float]]:
    """Gather labels, probabilities unless they are too large, and how sure and how even they are."""
    labels, highest, entropies, kept = [], [], [], []
    for p in chunks:  # (rows, n_clusters)
        n_clusters = p.shape[1]
        labels.append(p.argmax(axis=1))
        highest.append(p.max(axis=1))
        entropies.append(entropy(p))
        if n_rows * n_clusters <= _MOST_PROBABILITIES:
            kept.append(p)
    all_labels, all_highest = np.concatenate(labels), np.concatenate(highest)
    diagnostics = {
        "mean_max_probability": float(all_highest.mean(dtype=np.float64)),
        "median_max_probability": float(np.median(all_highest)),
        "conditional_entropy": float(np.concatenate(entropies).mean()),
        "kl_to_uniform": cluster_size_kl(all_labels, n_clusters=n_clusters),
        "n_empty_clusters": n_clusters - len(np.unique(all_labels)),
    }
    return all_labels, np.concatenate(kept) if kept else None, diagnostics


def warn_if_collapsed(diagnostics: Mapping[str, Any], n_clusters: int, *, advice: str) -> None:
    """Warn, with the method's advice, if clusters stayed empty or the predictions are as unsure as guesses."""
    n_empty = int(diagnostics["n_empty_clusters"])
    if n_empty:
        problem = f"{n_empty} of {n_clusters} clusters are empty, so only {n_clusters - n_empty} were found."
    elif n_clusters > 1 and diagnostics["conditional_entropy"] > _GUESSING * math.log(n_clusters):
        problem = f"The predictions for {n_clusters} clusters are hardly surer than guesses."
    else:
        return
    warnings.warn(f"{problem} {advice}", ConvergenceWarning, stacklevel=6)  # the caller of `fit`
