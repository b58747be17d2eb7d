"""Score MMDC, its ablations and k-means on small pictures: one line for each run, and one for each of its epochs.

    python benchmarks/mmdc.py --sets digits mnist5000 --methods kmeans:pixels kmeans:lite2 mmdc:paper-mnist --seeds 5
    python benchmarks/mmdc.py --sets cifar10 --methods mmdc:paper-cifar10,width=16,n_epochs=25 --seeds 1

A method is ``kmeans:pixels``, ``kmeans:lite2`` (the embedded backbone's features) or ``mmdc:PRESET`` with
``,keyword=value`` behind it. Lines are appended to mmdc.csv and mmdc_curve.csv beside this file; a run that is there is
not repeated, and a killed one goes on. Nothing is chosen by the scores: the epoch is the last. ``kmeans_*`` and
``linear_acc`` are table IV of the paper: k-means on the penultimate features, and a linear classifier that is trained
on them with labels (on CIFAR-10 with those of the pictures to fit, scored on the test pictures; elsewhere on four
fifths, scored on the rest).
"""

import argparse
import ast
import csv
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from covey.cluster import MMDC, KMeans
from covey.metrics import adjusted_rand_score, clustering_accuracy, normalized_mutual_info_score
from covey.pipeline import CheckpointFile
from feature_sets import CACHE
from picture_sets import NAMES, PictureSet, backbone_features, backbone_labels, load_pictures, pixel_features

TABLE = Path(__file__).with_suffix(".csv")
CURVE = TABLE.with_name("mmdc_curve.csv")
KEY = ["set", "method", "seed"]
COLUMNS = [
    *KEY,
    *("n_fit", "acc", "nmi", "ari", "acc_test", "nmi_test", "kmeans_acc", "kmeans_nmi", "linear_acc"),
    *("cluster_loss", "rotation_loss", "moved", "kl_to_uniform", "n_empty_clusters", "seconds", "n_threads"),
]
CURVE_COLUMNS = [*KEY, "epoch", "seconds", "cluster_loss", "rotation_loss", "moved", "acc_targets", "nmi_targets"]
N_CLUSTERS = 10


def run_kmeans(name: str, pictures: PictureSet, kind: str, seed: int) -> dict:
    """Cluster pixels, or unit features of the embedded backbone."""
    y = pictures.y if kind == "pixels" else backbone_labels(name, pictures)
    X = pixel_features(pictures.X) if kind == "pixels" else backbone_features(name, pictures)
    labels = KMeans(N_CLUSTERS, spherical=kind != "pixels", random_state=seed).fit_predict(X)
    return score(y, labels)


def run_mmdc(pictures: PictureSet, text: str, key: list, tell) -> dict:
    """Train with a preset and changes to it; tell each epoch."""
    preset, *changes = text.split(",")
    keywords = {name: ast.literal_eval(value) for name, value in (change.split("=") for change in changes)}
    file = CheckpointFile(CACHE / "mmdc" / f"{'-'.join(map(str, key))}.safetensors")  # a killed run goes on
    start = time.perf_counter()

    def note(state) -> None:
        # Where targets are a mixture, each picture holds one: the assignment of this epoch, made for batch after batch.
        cluster_loss, rotation_loss, moved = state.arrays["history"][-1]
        labels = state.arrays.get("labels")
        has_labels = labels is not None and len(state.arrays["means"]) > 0
        row = dict(zip(KEY, key, strict=True)) | {
            "epoch": len(state.arrays["history"]),
            "seconds": round(time.perf_counter() - start),
            "cluster_loss": cluster_loss,
            "rotation_loss": rotation_loss,
            "moved": moved,
            "acc_targets": clustering_accuracy(pictures.y, labels) if has_labels else None,
            "nmi_targets": normalized_mutual_info_score(pictures.y, labels) if has_labels else None,
        }
        append(CURVE, CURVE_COLUMNS, row)
        tell(row)
        file.write(state)

    mmdc = MMDC.from_preset(preset, n_clusters=N_CLUSTERS, random_state=key[2], **keywords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty clusters: they are in the table
        mmdc.fit(pictures.X, checkpoint=note, resume=file.read())
    file.remove()
    told = {name: mmdc.diagnostics_[name] for name in COLUMNS if name in mmdc.diagnostics_}
    scores = score(pictures.y, mmdc.labels_) | told | probe(pictures, mmdc, key[2])
    if pictures.X_test is not None:
        scores |= {
            f"{name}_test": value for name, value in score(pictures.y_test, mmdc.predict(pictures.X_test)).items()
        }
    return scores


def score(y: np.ndarray, labels: np.ndarray) -> dict:
    return {
        "acc": clustering_accuracy(y, labels),
        "nmi": normalized_mutual_info_score(y, labels),
        "ari": adjusted_rand_score(y, labels),
    }


def probe(pictures: PictureSet, mmdc: MMDC, seed: int) -> dict:
    """Evaluate the penultimate features as table IV does."""
    Z = mmdc.transform(pictures.X)
    labels = KMeans(N_CLUSTERS, random_state=seed).fit_predict(Z)
    found = {f"kmeans_{name}": value for name, value in score(pictures.y, labels).items() if name != "ari"}
    if pictures.X_test is None:
        fit, rest = np.split(np.random.default_rng(0).permutation(len(Z)), [round(0.8 * len(Z))])
        parts = (Z[fit], pictures.y[fit], Z[rest], pictures.y[rest])
    else:
        parts = (Z, pictures.y, mmdc.transform(pictures.X_test), pictures.y_test)
    return found | {"linear_acc": linear_probe(*parts, seed=seed)}


def linear_probe(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray, *, seed: int) -> float:
    """Train a linear classifier as section IV-B says; return its accuracy on further rows."""
    generator = torch.Generator().manual_seed(seed)
    x, t = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
    weight = torch.zeros(N_CLUSTERS, x.shape[1], requires_grad=True)
    bias = torch.zeros(N_CLUSTERS, requires_grad=True)
    n_epochs, batch = 100, 128
    optimizer = torch.optim.SGD([weight, bias], lr=0.1, momentum=0.9, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(F.linear(x[rows], weight, bias), t[rows]).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        predicted = F.linear(torch.from_numpy(X_test), weight, bias).argmax(dim=1).numpy()
    return float((predicted == y_test).mean())


def append(path: Path, columns: list[str], row: dict) -> None:
    """Write a line, and the header first if the file is new."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        if is_new:
            writer.writeheader()
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()})


def done() -> set[tuple[str, ...]]:
    if not TABLE.exists():
        return set()
    with TABLE.open(newline="") as file:
        return {tuple(row[name] for name in KEY) for row in csv.DictReader(file)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=NAMES, required=True)
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.sets:
        pictures = load_pictures(name)
        for seed in range(arguments.seeds):
            for method in arguments.methods:
                key = [name, method, seed]
                if tuple(map(str, key)) in done():
                    continue
                start = time.perf_counter()
                kind, _, rest = method.partition(":")
                scores = (
                    run_kmeans(name, pictures, rest, seed)
                    if kind == "kmeans"
                    else run_mmdc(pictures, rest, key, lambda row: print(row, flush=True))
                )
                row = dict(zip(KEY, key, strict=True)) | scores
                row |= {"n_fit": len(pictures.X), "seconds": round(time.perf_counter() - start)}
                append(TABLE, COLUMNS, row | {"n_threads": torch.get_num_threads()})
                print(row, flush=True)


if __name__ == "__main__":
    main()
