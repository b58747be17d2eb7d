"""What do features know? Neighbours and a linear classifier, with labels, on frozen features.

The k-NN classifier is that of DINO's evaluation (cosine, 20 neighbours, votes weighted by exp(cosine / 0.07)); the
linear probe is logistic regression on standardised features, without augmentation, its strength chosen on a tenth of
the rows to fit, never on those that are scored. Nothing of this chooses anything in covey.

Recorded in ``probes.csv``.

    python benchmarks/probes.py [--sets cifar10 imagenette] [--csv FILE]
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from feature_sets import LITE2, FeatureSet, load_set

N_NEIGHBORS, TEMPERATURE = 20, 0.07
STRENGTHS = (1e-4, 1e-3, 1e-2)
N_STEPS = 60


def knn_accuracy(data: FeatureSet) -> float:
    """Score the weighted vote of the nearest rows."""
    fit, score = (torch.nn.functional.normalize(torch.from_numpy(np.array(X)).float()) for X in (data.X, data.X_test))
    y, n_classes = torch.from_numpy(np.array(data.y)), int(data.y.max()) + 1
    right = 0
    for rows in torch.arange(len(score)).split(1024):
        cosine, index = (score[rows] @ fit.T).topk(N_NEIGHBORS)
        votes = torch.zeros(len(rows), n_classes).scatter_add_(1, y[index], (cosine / TEMPERATURE).exp())
        right += int((votes.argmax(1).numpy() == data.y_test[rows]).sum())
    return right / len(score)


def fit_linear(X: torch.Tensor, y: torch.Tensor, n_classes: int, strength: float) -> torch.nn.Linear:
    """Fit logistic regression with a quadratic penalty."""
    layer = torch.nn.Linear(X.shape[1], n_classes)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=N_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(X), y) + strength * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer


def linear_accuracy(data: FeatureSet) -> float:
    """Score the linear probe."""
    X, X_test = (torch.from_numpy(np.array(part)).float() for part in (data.X, data.X_test))
    mean, std = X.mean(0), X.std(0) + 1e-6
    X, X_test = (X - mean) / std, (X_test - mean) / std
    y, n_classes = torch.from_numpy(np.array(data.y)), int(data.y.max()) + 1
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(X)))
    fit, check = order[len(X) // 10 :], order[: len(X) // 10]

    def accuracy(layer: torch.nn.Linear, X: torch.Tensor, y: torch.Tensor) -> float:
        with torch.no_grad():
            return float((layer(X).argmax(1) == y).float().mean())

    scores = {s: accuracy(fit_linear(X[fit], y[fit], n_classes, s), X[check], y[check]) for s in STRENGTHS}
    layer = fit_linear(X, y, n_classes, max(scores, key=lambda s: scores[s]))
    return accuracy(layer, X_test, torch.from_numpy(np.array(data.y_test)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="+", default=["imagenette", "cifar10"])
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.sets:
        data = load_set(name)
        row = {"set": name, "backbone": LITE2, "n_fit": len(data.X), "n_score": len(data.X_test)}
        row |= {"knn20": round(knn_accuracy(data), 4), "linear": round(linear_accuracy(data), 4)}
        rows.append(row)
        print(row, flush=True)
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
