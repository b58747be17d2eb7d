"""Time a pass of MMDC against the bare forward and backward passes of its network, and the two ways to assign.

    python benchmarks/mmdc_speed.py --pictures 512

Writes mmdc_speed.csv and mmdc_assignment.csv beside this file. A pass over n pictures costs the network n pictures
forward (the anchors), and n + 4 n forward and backward (copies and turns); `bare` is the time for that alone, on one
batch of noise again and again, in the same process. Times are of the processor, not of the clock, so that neighbours on
the machine count less.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from covey._torch import make_generator
from covey.cluster import MMDC
from covey.cluster._mmdc._alternation import Targets
from covey.cluster._mmdc._images import Views
from covey.nn import TwoHeadedConvNet
from covey.objectives import target_loss
from covey.objectives.mmdc import _repeat_columns, _transport

HERE = Path(__file__).parent
BATCH = 128
N_CLUSTERS = 10


def time_pass(pictures: np.ndarray, trunk: str, width: int, precision: str) -> dict:
    """Train a pass, then do its network's work alone; return seconds."""
    spent = dict.fromkeys(("assign", "augment"), 0.0)

    def timed(kind: str, function):
        def call(*arguments, **keywords):
            start = time.process_time()
            result = function(*arguments, **keywords)
            spent[kind] += time.process_time() - start
            return result

        return call

    originals = Targets.assign, Views.augmented, Views.rotated, Views.anchor
    Targets.assign = timed("assign", originals[0])
    Views.augmented, Views.rotated, Views.anchor = (timed("augment", function) for function in originals[1:])
    marks = []
    try:
        mmdc = MMDC.from_preset("paper-cifar10", trunk=trunk, width=width, precision=precision, random_state=0)
        per_pass = 2 * -(-len(pictures) // BATCH)

        def mark(_stage: str, n_done: int, _n_total: int | None) -> None:
            if n_done % per_pass == 0:
                marks.append((time.process_time(), dict(spent)))

        mmdc.set_params(n_epochs=2, decay_at=1.0)
        fit_without_answer(mmdc, pictures, mark)
    finally:
        Targets.assign, Views.augmented, Views.rotated, Views.anchor = originals
    (start, before), (end, after) = marks  # the second pass: the first one also warms up
    found = {"pass": end - start} | {kind: after[kind] - before[kind] for kind in spent}
    network = TwoHeadedConvNet(
        trunk,
        3,
        32,
        N_CLUSTERS,
        width=width,
        generator=make_generator(0),
        compute_dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32,
    )
    x = torch.rand(4 * BATCH, 3, 32, 32, generator=make_generator(0))
    bare(network, x)
    start = time.process_time()
    for _ in range(len(pictures) // BATCH):
        bare(network, x)
    return found | {"bare": time.process_time() - start}


def fit_without_answer(mmdc: MMDC, pictures: np.ndarray, progress) -> None:
    """Train; what comes after the training is not timed."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mmdc.fit(pictures, progress=progress)


def bare(network: TwoHeadedConvNet, x: torch.Tensor) -> None:
    """Do what the network does for one batch of pictures in a pass."""
    network.train()
    F.cross_entropy(network.rotation_logits(x), torch.zeros(len(x), dtype=torch.int64)).backward()
    network.zero_grad(set_to_none=True)
    network.eval()
    with torch.no_grad():
        network(x[:BATCH])
    network.train()
    target_loss(network(x[:BATCH]), torch.eye(N_CLUSTERS)[torch.zeros(BATCH, dtype=torch.int64)]).backward()
    network.zero_grad(set_to_none=True)


def time_assignment(batch: int, n_means: int, spread: float, *, n_repeats: int = 5) -> dict:
    """Assign outputs by both solvers; `spread` small is the beginning of a training, large its end."""
    rng = np.random.default_rng(0)
    seconds = {"assignment": [], "transport": []}
    for _ in range(n_repeats):
        common = rng.normal(size=n_means)
        own = 4 * np.eye(n_means)[rng.integers(0, n_means, batch)] if spread > 1 else common
        outputs = own + spread * rng.normal(size=(batch, n_means))
        outputs /= np.linalg.norm(outputs, axis=1, keepdims=True)
        costs = np.sqrt(np.maximum(2 - 2 * outputs, 0))
        rooms = np.bincount(rng.integers(0, n_means, batch), minlength=n_means)
        used = np.flatnonzero(rooms)
        costs, rooms = np.ascontiguousarray(costs[:, used]), rooms[used]
        totals = []
        for name, solve in (("assignment", _repeat_columns), ("transport", _transport)):
            start = time.process_time()
            labels = solve(costs, rooms)
            seconds[name].append(time.process_time() - start)
            totals.append(costs[np.arange(batch), labels].sum())
        assert abs(totals[0] - totals[1]) < 1e-8 * batch  # noqa: S101 (the same optimum)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    return medians | {"ratio": medians["assignment"] / medians["transport"]}


def write(name: str, rows: list[dict]) -> None:
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--trunks", nargs="+", default=["small_vgg:32", "resnet18:16"])
    arguments = parser.parse_args()
    rows = []
    for batch, n_means in ((128, 10), (128, 20), (128, 200), (256, 10), (512, 10), (1024, 10)):
        for spread in (0.01, 2.0):
            found = time_assignment(batch, n_means, spread)
            rows.append({"batch": batch, "n_means": n_means, "spread": spread} | found)
            print(rows[-1], flush=True)
    write("mmdc_assignment.csv", rows)
    folder = tempfile.mkdtemp()
    n_pictures = arguments.pictures // BATCH * BATCH
    np.save(Path(folder) / "pixels.npy", np.random.default_rng(0).integers(0, 256, (n_pictures, 32, 32, 3), np.uint8))
    pictures = np.load(Path(folder) / "pixels.npy", mmap_mode="r")
    rows = []
    for text in arguments.trunks:
        trunk, width = text.split(":")
        for precision in ("float32", "bfloat16"):
            seconds = time_pass(pictures, trunk, int(width), precision)
            row = {"trunk": trunk, "width": width, "precision": precision, "n_pictures": n_pictures}
            row |= {"pictures_per_s": n_pictures / seconds["pass"], "bare_pictures_per_s": n_pictures / seconds["bare"]}
            row |= {"bare_share": seconds["bare"] / seconds["pass"]}
            row |= {f"{kind}_share": seconds[kind] / seconds["pass"] for kind in ("assign", "augment")}
            rows.append(row)
            print(row, flush=True)
    write("mmdc_speed.csv", rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
