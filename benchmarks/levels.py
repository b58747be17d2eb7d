"""Which levels a run shows, how pure its clusters are there, and whether clear clusters are the pure ones.

    python benchmarks/levels.py SEED NAME=FILE.npz ...

A file holds features ``X`` (n, d) and classes ``y`` (n,); a safetensors file may too. Rows are appended to levels.csv:
one for the suggested number, the finest one, the number of classes and three times that. An image is *right* if it is
of the class that most images of its cluster have. Classes take no part in anything but that.
"""

import csv
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from covey.certainty import calibrate_certainty, describe_certainty
from covey.cluster import KMeans
from covey.hierarchy import choose_n_groups, tree_of_partition
from covey.selection import select_n_clusters

EDGES = (0, 0.3, 0.5, 0.7, 0.9, 1.01)


def main() -> None:
    seed, *named = sys.argv[1:]
    path = Path(__file__).with_name("levels.csv")
    for item in named:
        name, _, file = item.partition("=")
        arrays = load_file(file) if file.endswith(".safetensors") else np.load(file)
        for row in levels(name, arrays["X"].astype(np.float32), np.asarray(arrays["y"]), int(seed)):
            is_new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(row)


def levels(name: str, X: Any, y: Any, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of clusters."""
    n_classes = len(np.unique(y))
    selection = select_n_clusters(X, random_state=seed)
    numbers = {level.name: level.n_clusters for level in selection.granularities}
    tried = {"suggested": selection.n_clusters, "finest": max(numbers.values())}
    tried |= {"classes": n_classes, "3 x classes": 3 * n_classes}
    for level, k in tried.items():
        labels = KMeans(n_clusters=k, random_state=seed, spherical=True).fit(X).labels_
        majority = np.array([np.bincount(y[labels == j], minlength=1).argmax() for j in range(k)])
        right = majority[labels] == y
        certainty = calibrate_certainty(X, labels)
        told = describe_certainty(certainty, labels)
        coarser = max((n for n in numbers.values() if n <= k // 2), default=None)
        row = {
            "set": name, "n": len(X), "n_classes": n_classes, "seed": seed,
            "granularities": " ".join(f"{key}={n}" for key, n in numbers.items()), "level": level, "n_clusters": k,
            "n_groups": choose_n_groups(tree_of_partition(X, labels), coarser) or "",
            "purity": round(float(right.mean()), 3), "certainty": round(float(certainty.values.mean()), 3),
            "n_unsure": told["n_unsure"], "right_unsure": _mean(right[certainty.values < 0.5]),
        }  # fmt: skip
        for word in ("clear", "mixed", "loose"):
            clusters = [int(label) for label, cluster in told["clusters"].items() if cluster["word"] == word]
            row |= {f"n_{word}": len(clusters), f"right_{word}": _mean(right[np.isin(labels, clusters)])}
        for low, high in pairwise(EDGES):
            row[f"right_from_{low}"] = _mean(right[(certainty.values >= low) & (certainty.values < high)])
        yield row


def _mean(values: Any) -> float | str:
    return round(float(values.mean()), 3) if len(values) else ""


if __name__ == "__main__":
    main()
