"""Score CPP's defaults beside spherical k-means, and the labels of `relabel` far from the number it was trained for.

    python benchmarks/cpp_default.py scores --sets imagenette cifar10-half moco50 --seeds 11 12 13 14 15
    python benchmarks/cpp_default.py relabel --sets imagenette cifar10-half moco50 --seeds 11

Lines are appended to cpp_default.csv or cpp_relabel.csv beside this file; a run that is there is not repeated. Nothing
is chosen by the scores: the defaults are fixed, the rows that are scored are not fitted. ``cifar10-half`` are the
10,000 test images of CIFAR-10, half of them to fit. k-means has its defaults, on features as they are and z-scored with
the statistics of the rows to fit.
"""

import argparse
import csv
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from covey.cluster import CPP, KMeans
from covey.metrics import adjusted_mutual_info_score, clustering_accuracy, normalized_mutual_info_score
from feature_sets import LITE2, FeatureSet, embed, load_set, split_rows

SCORES = {
    "acc": clustering_accuracy,
    "ami": adjusted_mutual_info_score,
    "nmi": normalized_mutual_info_score,
}
COLUMNS = {
    "scores": [
        *("set", "seed", "method", "acc", "ami", "nmi", "acc_fit", "n_empty_clusters", "perplexity_factor", "gamma"),
        *("neighbor_information", "cpu_s"),
    ],
    "relabel": ["set", "seed", "trained_for", "relabeled_to", "acc", "ami", "gamma"],
}


def load_rows(name: str) -> FeatureSet:
    """Load a set of `feature_sets`, or half of CIFAR-10's test images."""
    if name == "cifar10-half":
        return split_rows(*embed("cifar10-test", (LITE2,)), share=0.5)
    return load_set(name)


def score(truth: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    return {name: f"{100 * function(truth, labels):.2f}" for name, function in SCORES.items()}


def score_methods(rows: FeatureSet, seed: int, done: set) -> Iterator[dict[str, Any]]:
    """Fit CPP and both k-means, and score the rows that were not fitted."""
    k = len(np.unique(rows.y))
    mean, std = rows.X.mean(axis=0), rows.X.std(axis=0)
    std[std == 0] = 1
    plain, scaled = (rows.X, rows.X_test), tuple(((X - mean) / std).astype(np.float32) for X in (rows.X, rows.X_test))
    for method, (X, X_test) in {"cpp": plain, "kmeans": plain, "kmeans-z": scaled}.items():
        if method in done:
            continue
        start = time.process_time()
        estimator = CPP(k, random_state=seed) if method == "cpp" else KMeans(k, spherical=True, random_state=seed)
        estimator.fit(X)
        row = {"seed": seed, "method": method, "cpu_s": f"{time.process_time() - start:.1f}"}
        row |= score(rows.y_test, estimator.predict(X_test))
        row["acc_fit"] = f"{100 * clustering_accuracy(rows.y, estimator.labels_):.2f}"
        if method == "cpp":
            found = estimator.diagnostics_
            row |= {name: found[name] for name in ("n_empty_clusters", "perplexity_factor", "gamma")}
            row["neighbor_information"] = json.dumps(found["neighbor_information"])
        yield row


def score_relabeled(rows: FeatureSet, seed: int, done: set) -> Iterator[dict[str, Any]]:
    """Train for half and twice the number of classes, at p = 1, and make as many clusters as classes."""
    k = len(np.unique(rows.y))
    for trained_for in (k // 2, k, 2 * k):
        if str(trained_for) in done:
            continue
        cpp = CPP(trained_for, perplexity_factor=1.0, random_state=seed).fit(rows.X)
        row = {"seed": seed, "trained_for": trained_for, "relabeled_to": k}
        row["gamma"] = f"{cpp.diagnostics_['gamma']:.4f}"
        yield row | score(rows.y_test, cpp.relabel(k).predict(rows.X_test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(COLUMNS))
    parser.add_argument("--sets", nargs="+", default=["imagenette", "cifar10-half", "moco50"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[11, 12, 13, 14, 15])
    args = parser.parse_args()
    out = Path(__file__).with_name("cpp_default.csv" if args.kind == "scores" else "cpp_relabel.csv")
    known: list[dict[str, str]] = []
    if out.exists():
        with out.open() as file:
            known = [*csv.DictReader(file)]
    run = score_methods if args.kind == "scores" else score_relabeled
    for seed in args.seeds:
        for name in args.sets:
            column = COLUMNS[args.kind][2]
            done = {row[column] for row in known if (row["set"], row["seed"]) == (name, str(seed))}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # empty clusters are a column
                for row in run(load_rows(name), seed, done):
                    is_new = not out.exists()
                    with out.open("a", newline="") as file:
                        writer = csv.DictWriter(file, COLUMNS[args.kind], extrasaction="ignore")
                        if is_new:
                            writer.writeheader()
                        writer.writerow({"set": name, **row})
                    print(name, row, flush=True)


if __name__ == "__main__":
    main()
