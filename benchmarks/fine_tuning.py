"""Score TEMI before and after its backbone is fine-tuned with its heads, on CIFAR-10, one line for each seed and state.

    python benchmarks/fine_tuning.py --seeds 2 --rows 2000 --size 96 --epochs 2

A random subset of the training pictures is fitted, a random subset of the test pictures is scored; both are drawn with
a fixed seed. Pictures are scaled up (bicubic) for EfficientNet-Lite0, whose features TEMI's default settings cluster.
Settings are the library's but for what the command line says, and nothing is chosen by labels: the head is the one with
the lowest training loss, the epoch is the last. Lines are appended to fine_tuning.csv beside this file; a run that is
there is not repeated. The column pair_information is that of heads.py, for the test pictures and the neighbours that
the frozen backbone gives them: it needs no labels.
"""

import argparse
import csv
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from covey.backbones import BACKBONES, load_torch_backbone
from covey.cluster import TEMI, fine_tune
from covey.cluster._temi_fine_tuning import PixelBatches, encode
from feature_sets import DATA, LITE0
from heads import SCORES, pair_information

TABLE = Path(__file__).with_suffix(".csv")
ARCHIVES = {"train": "cifar10-train20k.tar", "test": "cifar10-test.tar"}
SPEC = BACKBONES[LITE0]
CPU = torch.device("cpu")
COLUMNS = [
    *("set", "n_fit", "n_test", "size", "state", "seed", "n_steps", "batch_size", "learning_rate"),
    *("backbone_learning_rate", "augment"),
    *(f"{score}_{part}" for part in ("fit", "test") for score in SCORES),
    *("pair_information", "mean_max_probability", "n_empty_clusters", "seconds", "n_threads"),
]


def load_pictures(split: str, n_rows: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (n_rows, size, size, 3) uint8 and labels of a random subset of CIFAR-10."""
    with tarfile.open(DATA / ARCHIVES[split]) as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".png"))
        chosen = [names[row] for row in np.random.default_rng(0).permutation(len(names))[:n_rows]]
        pictures = [Image.open(archive.extractfile(name)).convert("RGB") for name in chosen]
    pixels = [np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)) for picture in pictures]
    return np.stack(pixels), np.unique([Path(name).parent.name for name in chosen], return_inverse=True)[1]


def score(
    temi: TEMI, X_test: np.ndarray, truth: tuple[np.ndarray, np.ndarray], frozen: np.ndarray
) -> dict[str, object]:
    """Score the labels of both parts; `frozen` are the test rows in whose neighbourhood pairs are looked for."""
    result: dict[str, object] = {}
    for part, y, labels in zip(("fit", "test"), truth, (temi.labels_, temi.predict(X_test)), strict=True):
        result |= {f"{name}_{part}": f"{100 * function(y, labels):.2f}" for name, function in SCORES.items()}
    result["pair_information"] = f"{pair_information(temi.predict_proba(X_test), frozen):.4f}"
    for name in ("mean_max_probability", "n_empty_clusters"):
        result[name] = f"{temi.diagnostics_[name]:.4g}"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    done = set()
    if args.out.exists():
        with args.out.open() as file:
            done = {(row["n_fit"], row["size"], row["augment"], row["seed"]) for row in csv.DictReader(file)}
    pixels, y = load_pictures("train", args.rows, args.size)
    test_pixels, y_test = load_pictures("test", args.test_rows, args.size)
    backbone = load_torch_backbone(LITE0)
    X, X_test = (encode(backbone, PixelBatches(part, SPEC.mean, SPEC.std, CPU)) for part in (pixels, test_pixels))
    options = {"mean": SPEC.mean, "std": SPEC.std, "n_epochs": args.epochs, "augment": args.augment}
    defaults = fine_tune.__kwdefaults__
    for seed in range(args.seeds):
        if (str(len(X)), str(args.size), str(int(args.augment)), str(seed)) in done:
            continue
        facts = {"set": "cifar10", "n_fit": len(X), "n_test": len(X_test), "size": args.size, "seed": seed}
        facts |= {"augment": int(args.augment), "n_threads": torch.get_num_threads()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # empty clusters are a column
            start = time.perf_counter()
            temi = TEMI(n_clusters=10, random_state=seed).fit(X)
            middle = time.perf_counter()
            tuned = fine_tune(temi, backbone, pixels, **options, random_state=seed)
            end = time.perf_counter()
        states = (
            ("frozen", temi, X_test, middle - start),
            ("fine-tuned", tuned.temi, tuned.encode(test_pixels), end - middle),
        )
        for state, fitted, rows, seconds in states:
            result = facts | {"state": state, "n_steps": fitted.n_steps_, "seconds": f"{seconds:.0f}"}
            if state == "fine-tuned":
                rates = ("batch_size", "learning_rate", "backbone_learning_rate")
                result |= {name: defaults[name] for name in rates}
            append(args.out, result | score(fitted, rows, (y, y_test), X_test))


def append(path: Path, result: dict[str, object]) -> None:
    """Add a line to the table."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerow(result)
    print(result, flush=True)


if __name__ == "__main__":
    main()
