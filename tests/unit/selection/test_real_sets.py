"""The default rule on sets whose number of classes is known; the labels are never shown to it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from covey.selection import select_n_clusters

# Name, metric, and the range in which the number has to lie; the sets have 10, 10, 10 and 50 classes.
SETS = [
    ("digits", "euclidean", 8, 14),
    ("umap-usps", "euclidean", 8, 12),
    ("umap-mnist", "euclidean", 8, 12),
    ("moco-imagenet50-val", "cosine", 30, 75),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric", "low", "high"), SETS)
def test_number_is_near_that_of_the_classes(
    name: str, metric: str, low: int, high: int, data_file: Callable[[str], Path]
) -> None:
    X: np.ndarray = load_digits().data if name == "digits" else load_file(data_file(f"{name}.safetensors"))["X"]
    result = select_n_clusters(X, metric=metric, random_state=0)
    print(name, result.why, [(row.n_clusters, round(row.score, 3)) for row in result.curve])
    assert low <= result.n_clusters <= high
