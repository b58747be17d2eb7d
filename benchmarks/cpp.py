"""CPP on real features: what the settings of preset `mlp` are worth, with and without labels, and what a fit costs.

    python benchmarks/cpp.py --sets moco50 imagenette --changes "" "heads=one" "warmup=0.0" --seeds 5

A change is ``keyword=value,...`` on top of `mlp`, our defaults until November 2026 (`cpp_default.py` has the present
ones), or ``preset/keyword=value,...``. Lines are appended to cpp.csv
beside this file; a run that is there is not repeated. The column ``neighbor_information`` needs no labels: the mutual
information, in nats, of the labels of held-out rows with those of their 10 nearest held-out neighbors. Settings are
chosen by it alone. ``cifar10-imbalanced`` is appendix E of the paper: of classes 1, 3, 5, 7 and 9 every second training
row is left out; the rows that are scored stay balanced.
"""

import argparse
import ast
import csv
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from covey.cluster import CPP
from covey.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    contingency_matrix,
    normalized_mutual_info_score,
)
from covey.neighbors import nearest_neighbors
from feature_sets import FeatureSet, load_set

TABLE = Path(__file__).with_suffix(".csv")
SCORES = {
    "acc": clustering_accuracy,
    "nmi": normalized_mutual_info_score,
    "ami": adjusted_mutual_info_score,
    "ari": adjusted_rand_score,
}
COLUMNS = [
    *("set", "change", "seed", "n_clusters", "n_fit", "n_test", "neighbor_information"),
    *(f"{score}_{part}" for part in ("fit", "test") for score in SCORES),
    *("coding_rate", "cluster_coding_rate", "n_empty_clusters", "seconds", "peak_mb", "n_threads"),
]


def load_rows(name: str) -> FeatureSet:
    """Load a set; ``-imbalanced`` drops every second training row of the odd classes."""
    rows = load_set(name.removesuffix("-imbalanced"))
    if not name.endswith("-imbalanced"):
        return rows
    place = np.empty(len(rows.y), dtype=np.int64)  # of a row within its class
    for label in np.unique(rows.y):
        members = np.flatnonzero(rows.y == label)
        place[members] = np.arange(len(members))
    kept = (rows.y % 2 == 0) | (place % 2 == 0)
    return rows._replace(X=rows.X[kept], y=rows.y[kept])


def make_cpp(text: str, n_clusters: int, seed: int) -> CPP:
    preset, slash, changes = text.rpartition("/")
    keywords = {"n_clusters": n_clusters, "random_state": seed}
    for change in filter(None, changes.split(",")):
        key, value = change.split("=")
        try:
            keywords[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            keywords[key] = value
    return CPP.from_preset(preset if slash else "mlp", **keywords)


def neighbor_information(labels: np.ndarray, X: np.ndarray, *, n_neighbors: int = 10) -> float:
    """Return the mutual information, in nats, of rows' labels with those of their neighbors."""
    table = nearest_neighbors(X, n_neighbors=n_neighbors).indices
    joint = contingency_matrix(np.repeat(labels, n_neighbors), labels[table.ravel()]).counts.astype(np.float64)
    joint /= joint.sum()
    outer = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / outer[seen])).sum())


def run(rows: FeatureSet, text: str, seed: int) -> dict[str, object]:
    """Fit once and score; labels are looked at after the fit alone."""
    k = len(np.unique(rows.y))
    estimator = make_cpp(text, k, seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty clusters are a column
        estimator.fit(rows.X)
    seconds = time.perf_counter() - start
    predicted = estimator.predict(rows.X_test)
    result: dict[str, object] = {
        "n_clusters": k,
        "n_fit": len(rows.X),
        "n_test": len(rows.X_test),
        "neighbor_information": f"{neighbor_information(predicted, rows.X_test):.4f}",
    }
    for part, truth, labels in (("fit", rows.y, estimator.labels_), ("test", rows.y_test, predicted)):
        for name, score in SCORES.items():
            result[f"{name}_{part}"] = f"{100 * score(truth, labels):.2f}"
    for name in ("coding_rate", "cluster_coding_rate", "n_empty_clusters"):
        result[name] = f"{estimator.diagnostics_[name]:.4g}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of the process so far, its data included
    return result | {"seconds": f"{seconds:.1f}", "peak_mb": f"{peak:.0f}", "n_threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["imagenette", "moco50", "cifar10"])
    parser.add_argument("--changes", nargs="+", default=[""])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    done = set()
    if args.out.exists():
        with args.out.open() as file:
            done = {(row["set"], row["change"], row["seed"]) for row in csv.DictReader(file)}
    for name in args.sets:
        rows = load_rows(name)
        for seed in range(args.seeds):
            for text in args.changes:
                if (name, text, str(seed)) in done:
                    continue
                result = {"set": name, "change": text, "seed": seed, **run(rows, text, seed)}
                is_new = not args.out.exists()
                with args.out.open("a", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS)
                    if is_new:
                        writer.writeheader()
                    writer.writerow(result)
                print(result, flush=True)


if __name__ == "__main__":
    main()
