"""Score classical baselines and supervised probes: fit on one part of the rows, score both parts, one line a run.

    python benchmarks/classical.py --sets imagenette moco50 --methods spectral ensc linear-probe --seeds 5

Methods are written as for heads.py; ``linear-probe`` and ``knn-probe`` learn from the labels of the rows to fit. Lines
are appended to classical.csv beside this file, and a run that is there is not repeated. A method that draws nothing is
run once. Each set and method has a process of its own, so that peak memory is that of the fit: what it adds to the
process with the rows loaded.
"""

import argparse
import ast
import csv
import multiprocessing
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from covey.cluster import CLUSTERERS
from covey.metrics import adjusted_rand_score, clustering_accuracy, normalized_mutual_info_score
from covey.probes import knn_probe, linear_probe
from covey.types import NOISE
from feature_sets import NAMES, FeatureSet, load_set
from heads import make_method

TABLE = Path(__file__).with_suffix(".csv")
SCORES = {"acc": clustering_accuracy, "nmi": normalized_mutual_info_score, "ari": adjusted_rand_score}
PROBES = {"linear-probe": linear_probe, "knn-probe": knn_probe}
COLUMNS = [
    *("set", "method", "seed", "n_fit", "n_test", "n_features", "n_classes", "n_found", "n_noise"),
    *(f"{score}_{part}" for part in ("fit", "test") for score in SCORES),
    *("macro_acc_test", "fit_seconds", "predict_seconds", "peak_mib", "n_threads"),
]


def run(rows: FeatureSet, text: str, seed: int) -> dict[str, object]:
    """Fit once and score; a clusterer never sees labels."""
    start = time.perf_counter()
    if text in PROBES:
        keywords = {"random_state": seed} if text == "linear-probe" else {}
        result = PROBES[text](rows.X, rows.y, rows.X_test, rows.y_test, **keywords)
        return {
            "acc_test": f"{100 * result.accuracy:.2f}", "macro_acc_test": f"{100 * result.macro_accuracy:.2f}",
            "fit_seconds": f"{time.perf_counter() - start:.1f}",
        }  # fmt: skip
    estimator = make(text, len(np.unique(rows.y)), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(rows.X)
    middle = time.perf_counter()
    found = estimator.predict(rows.X_test)
    line: dict[str, object] = {
        "fit_seconds": f"{middle - start:.1f}", "predict_seconds": f"{time.perf_counter() - middle:.1f}",
        "n_found": len(np.unique(estimator.labels_[estimator.labels_ != NOISE])),
        "n_noise": int((estimator.labels_ == NOISE).sum()),
    }  # fmt: skip
    for part, truth, labels in (("fit", rows.y, estimator.labels_), ("test", rows.y_test, found)):
        for name, score in SCORES.items():
            line[f"{name}_{part}"] = f"{100 * score(truth, labels - labels.min()):.2f}"  # noise is one more cluster
    return line


def make(text: str, n_clusters: int, seed: int):
    """Build an estimator; one without a number of clusters or a seed gets none."""
    name = text.split(",", maxsplit=1)[0].partition(":")[0]
    known = CLUSTERERS[name]().get_params()
    if {"n_clusters", "random_state"} <= set(known):
        return make_method(text, n_clusters, seed)
    keywords = dict(change.split("=") for change in text.split(",")[1:])
    keywords = {key: ast.literal_eval(value) for key, value in keywords.items()}
    return CLUSTERERS[name](**keywords, **({"n_clusters": n_clusters} if "n_clusters" in known else {}))


def draws(text: str) -> bool:
    """Say whether a seed matters to a method."""
    if text in PROBES:
        return text == "linear-probe"
    return "random_state" in CLUSTERERS[text.split(",", maxsplit=1)[0].partition(":")[0]]().get_params()


def work(rows: FeatureSet, name: str, text: str, seeds: list[int], out: Path) -> None:
    """Run one method on one set with some seeds, in this process."""
    for seed in seeds:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = run(rows, text, seed)
        line |= {
            "set": name, "method": text, "seed": seed, "n_fit": len(rows.X), "n_test": len(rows.X_test),
            "n_features": rows.X.shape[1], "n_classes": len(np.unique(rows.y)), "n_threads": torch.get_num_threads(),
            # Of later seeds it is what they add to the first.
            "peak_mib": f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f}",
        }  # fmt: skip
        is_new = not out.exists()
        with out.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(line)
        print(*(f"{key}={line[key]}" for key in COLUMNS if key in line), flush=True)


def report(table: Path) -> str:
    """Sum up recorded runs as Markdown: mean ± standard deviation over the seeds."""
    with table.open() as file:
        runs = list(csv.DictReader(file))
    shown = ("acc_test", "nmi_test", "ari_test", "acc_fit", "fit_seconds", "peak_mib")
    lines = ["| set | method | seeds | " + " | ".join(shown) + " |", "|" + "---|" * (3 + len(shown))]
    for key in dict.fromkeys((run["set"], run["method"]) for run in runs):
        group = [run for run in runs if (run["set"], run["method"]) == key]
        cells = []
        for column in shown:
            values = np.array([float(run[column]) for run in group if run[column]])
            if column == "peak_mib":
                cells.append(f"{values.max():.0f}")
            elif len(values) > 1:
                cells.append(f"{values.mean():.1f} ± {values.std(ddof=1):.1f}")
            else:
                cells.append(f"{values[0]:.1f}" if len(values) else "")
        lines.append("| " + " | ".join((*key, str(len(group)), *cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=["imagenette", "moco50", "umap-usps"])
    parser.add_argument("--methods", nargs="+", default=["kmeans", "spectral"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--report", action="store_true", help="Run nothing; print the recorded runs as a table.")
    args = parser.parse_args()
    if args.report:
        print(report(args.out))
        return
    done = set()
    if args.out.exists():
        with args.out.open() as file:
            done = {(row["set"], row["method"], int(row["seed"])) for row in csv.DictReader(file)}
    fork = multiprocessing.get_context("fork")  # the parent computes nothing, so that no thread is lost
    for name in args.sets:
        rows = load_set(name)
        for text in args.methods:
            seeds = [seed for seed in range(args.seeds if draws(text) else 1) if (name, text, seed) not in done]
            if seeds:
                process = fork.Process(target=work, args=(rows, name, text, seeds, args.out))
                process.start()
                process.join()
                if process.exitcode:
                    print(f"{name} {text} failed", flush=True)


if __name__ == "__main__":
    main()
