"""Score methods on real features: fit on one part of the rows, score both parts, one line for each run.

    python benchmarks/heads.py --sets cifar10 imagenette --methods kmeans temi temi:paper scp --seeds 5

A method is ``NAME``, ``NAME:PRESET`` or either with ``,keyword=value`` behind it. Lines are appended to heads.csv
beside this file; a run that is there is not repeated, so a killed benchmark goes on where it was. Nothing is chosen by
the scores: settings are the method's, the head is the one with the lowest training loss, the epoch is the last.

`covey bench` does the same and more, with a process for each seed; this script is kept for the runs that it recorded.
"""

import argparse
import ast
import csv
import inspect
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from covey.cluster import CLUSTERERS
from covey.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    normalized_mutual_info_score,
)
from covey.neighbors import nearest_neighbors
from covey.types import NeighborGraph
from feature_sets import NAMES, FeatureSet, load_set

TABLE = Path(__file__).with_suffix(".csv")
SCORES = {
    "acc": clustering_accuracy,
    "nmi": normalized_mutual_info_score,
    "ami": adjusted_mutual_info_score,
    "ari": adjusted_rand_score,
}
COLUMNS = [
    *("set", "method", "seed", "n_clusters", "n_fit", "n_test"),
    *(f"{score}_{part}" for part in ("fit", "test") for score in SCORES),
    *("pair_information", "mean_max_probability", "kl_to_uniform", "n_empty_clusters", "seconds", "n_threads"),
]


def make_method(text: str, n_clusters: int, seed: int):
    """Build an estimator from its text on the command line."""
    name, *changes = text.split(",")
    name, _, preset = name.partition(":")
    keywords = {key: _value(value) for key, value in (change.split("=") for change in changes)}
    if name == "kmeans":
        keywords = {"spherical": True, **keywords}
    keywords |= {"n_clusters": n_clusters, "random_state": seed}
    kind = CLUSTERERS[name]
    return kind.from_preset(preset, **keywords) if preset else kind(**keywords)


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def run(rows: FeatureSet, graph: NeighborGraph, text: str, seed: int, n_clusters: int | None) -> dict[str, object]:
    """Fit once and score; labels are looked at after the fit alone. Seconds are without the search of neighbours."""
    k = n_clusters or len(np.unique(rows.y))
    estimator = make_method(text, k, seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty clusters are a column
        offered = {"neighbors": graph} | ({} if rows.views is None else {"views": rows.views})
        takes = inspect.signature(estimator.fit).parameters
        estimator.fit(rows.X, **{name: value for name, value in offered.items() if name in takes})
    seconds = time.perf_counter() - start
    result: dict[str, object] = {"n_clusters": k, "n_fit": len(rows.X), "n_test": len(rows.X_test)}
    for part, truth, labels in (
        ("fit", rows.y, estimator.labels_),
        ("test", rows.y_test, estimator.predict(rows.X_test)),
    ):
        for name, score in SCORES.items():
            result[f"{name}_{part}"] = f"{100 * score(truth, labels):.2f}"
    if hasattr(estimator, "predict_proba"):
        result["pair_information"] = f"{pair_information(estimator.predict_proba(rows.X_test), rows.X_test):.4f}"
        for name in ("mean_max_probability", "kl_to_uniform", "n_empty_clusters"):
            result[name] = f"{estimator.diagnostics_[name]:.4g}"
    return result | {"seconds": f"{seconds:.1f}", "n_threads": torch.get_num_threads()}


def pair_information(p: np.ndarray, X: np.ndarray, *, n_neighbors: int = 10) -> float:
    """Estimate, without labels, how much predictions tell about a neighbour's, in nats: at most log(n_clusters).

    The mean of log Σ_c p(c|x) p(c|x') / p(c) over held-out rows and their neighbours; what TEMI's family maximises.
    """
    table = nearest_neighbors(X, n_neighbors=min(n_neighbors, len(X) - 1)).indices
    p = p.astype(np.float64)
    weighted = p / np.maximum(p.mean(axis=0), 1e-12)
    values = [np.log(np.maximum((p * weighted[column]).sum(axis=1), 1e-12)).mean() for column in table.T]
    return float(np.mean(values))


def report(table: Path) -> str:
    """Sum up recorded runs as Markdown: mean ± standard deviation over the seeds, on the rows that were not fitted."""
    with table.open() as file:
        runs = list(csv.DictReader(file))
    shown = ("acc_test", "nmi_test", "ari_test", "acc_fit", "seconds")
    lines = ["| set | k | method | seeds | " + " | ".join(shown) + " |", "|" + "---|" * (4 + len(shown))]
    for key in dict.fromkeys((run["set"], run["n_clusters"], run["method"]) for run in runs):
        group = [run for run in runs if (run["set"], run["n_clusters"], run["method"]) == key]
        cells = []
        for column in shown:
            values = np.array([float(run[column]) for run in group])
            cells.append(f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}")
        lines.append("| " + " | ".join((*key, str(len(group)), *cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=["cifar10", "imagenette", "moco50"])
    parser.add_argument("--methods", nargs="+", default=["kmeans", "temi"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-clusters", type=int, help="As many as there are classes if not given.")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--report", action="store_true", help="Run nothing; print the recorded runs as a table.")
    args = parser.parse_args()
    if args.report:
        print(report(args.out))
        return
    done = set()
    if args.out.exists():
        with args.out.open() as file:
            done = {(row["set"], row["method"], row["seed"], row["n_clusters"]) for row in csv.DictReader(file)}
    for seed in range(args.seeds):
        for name in args.sets:
            rows = load_set(name)
            graph = nearest_neighbors(rows.X, n_neighbors=50)
            k = args.n_clusters or len(np.unique(rows.y))
            for text in args.methods:
                if (name, text, str(seed), str(k)) in done:
                    continue
                result = {"set": name, "method": text, "seed": seed, **run(rows, graph, text, seed, args.n_clusters)}
                is_new = not args.out.exists()
                with args.out.open("a", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS)
                    if is_new:
                        writer.writeheader()
                    writer.writerow(result)
                print(result, flush=True)


if __name__ == "__main__":
    main()
