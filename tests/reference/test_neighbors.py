"""The exact engine against a naive twin: all pairs in float64, sorted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from covey.neighbors import nearest_neighbors


def naive_neighbors(X: np.ndarray, n_neighbors: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    X = X.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(X, axis=1, keepdims=True)
        X = X / np.where(norms > 0, norms, 1)
        distances = 1 - X @ X.T
    else:
        distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    return indices, np.take_along_axis(distances, indices, axis=1)


def assert_same_neighbors(X: np.ndarray, n_neighbors: int, metric: str, precision: str) -> None:
    """Distances agree to float32, and indices wherever float32 can tell the distances apart."""
    indices, distances = naive_neighbors(X, n_neighbors, metric)
    graph = nearest_neighbors(X, n_neighbors=n_neighbors, metric=metric, precision=precision)
    scale = distances.max()
    np.testing.assert_allclose(graph.distances, distances, atol=2e-6 * scale)
    differ = graph.indices != indices
    gaps = np.abs(graph.distances - distances) / scale
    assert differ.mean() < 1e-3
    assert (gaps[differ] < 1e-6).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["gaussian", "positive", "thin", "far"])
def test_is_the_naive_twin(kind: str, metric: str, precision: str) -> None:
    rng = np.random.default_rng(0)
    X = {
        "gaussian": rng.normal(size=(700, 40)),
        "positive": np.maximum(rng.normal(size=(700, 40)), 0) + 0.5,  # as pooled features are: all in one cone
        "thin": rng.normal(size=(700, 1)),  # many cosine ties
        "far": rng.normal(size=(700, 10)) * np.geomspace(1, 1000, 700)[:, None],  # a few rows dwarf the others
    }[kind].astype(np.float32)
    if kind == "thin" and metric == "cosine":
        graph = nearest_neighbors(X, n_neighbors=20, metric=metric, precision=precision)
        same_sign = [[j for j in range(700) if j != i and X[j] * X[i] > 0][:20] for i in range(700)]
        assert graph.indices.tolist() == same_sign
        return
    assert_same_neighbors(X, 20, metric, precision)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_real_features(data_file: Callable[[str], Path], precision: str) -> None:
    X = load_file(data_file("moco-imagenet50-val.safetensors"))["X"]
    assert_same_neighbors(X, 50, "cosine", precision)
