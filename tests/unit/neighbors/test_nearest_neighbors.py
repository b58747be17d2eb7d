import re
import subprocess
import sys

import numpy as np
import pytest

from covey.errors import UnknownNameError
from covey.neighbors import nearest_neighbors


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_never_contains_itself_though_it_has_twins(metric: str, precision: str) -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(9, 6)), 7, axis=0)
    graph = nearest_neighbors(X, n_neighbors=8, metric=metric, precision=precision)
    own = np.arange(len(X))[:, None]
    assert not (graph.indices == own).any()
    twins = [[j for j in range(i // 7 * 7, i // 7 * 7 + 7) if j != i] for i in range(len(X))]
    assert graph.indices[:, :6].tolist() == twins  # lower index first
    assert (graph.distances[:, :6] == 0).all()
    assert (graph.distances[:, 6:] > 0).all()


def test_all_rows_alike_are_in_order_of_their_index() -> None:
    graph = nearest_neighbors(np.ones((200, 3)), n_neighbors=4)
    assert graph.indices[0].tolist() == [1, 2, 3, 4]
    assert graph.indices[2].tolist() == [0, 1, 3, 4]
    assert graph.indices[199].tolist() == [0, 1, 2, 3]
    assert (graph.distances == 0).all()


def test_zero_rows_are_at_cosine_distance_one_of_everything() -> None:
    X = np.vstack([np.zeros((2, 4)), np.random.default_rng(0).normal(size=(20, 4))])
    graph = nearest_neighbors(X, n_neighbors=21, metric="cosine")
    assert (graph.distances[:2] == 1).all()
    assert graph.indices[1].tolist() == [0, *range(2, 22)]
    assert (graph.distances[2:][graph.indices[2:] < 2] == 1).all()


def test_graph_has_the_promised_form() -> None:
    graph = nearest_neighbors(np.random.default_rng(0).normal(size=(30, 5)), n_neighbors=29)
    assert graph.indices.shape == graph.distances.shape == (30, 29)
    assert graph.indices.dtype == np.int64
    assert graph.distances.dtype == np.float32
    assert graph.metric == "cosine"
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    assert all(sorted([i, *row]) == list(range(30)) for i, row in enumerate(graph.indices.tolist()))


def test_cosine_distance_is_one_minus_cosine_and_euclidean_is_a_length() -> None:
    X = [[3.0, 0.0], [0.0, 4.0]]
    assert nearest_neighbors(X, n_neighbors=1).distances.ravel() == pytest.approx(1)
    assert nearest_neighbors(X, n_neighbors=1, metric="euclidean").distances.ravel() == pytest.approx(5)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, bool])
def test_other_dtypes_are_accepted_and_left_alone(dtype: type) -> None:
    X = (np.random.default_rng(0).random((20, 6)) * 4).astype(dtype)
    X.flags.writeable = False
    before = X.copy()
    graph = nearest_neighbors(X, n_neighbors=3)
    assert (graph.indices == nearest_neighbors(X.astype(np.float32), n_neighbors=3).indices).all()
    assert (before == X).all()


def test_a_far_away_origin_does_not_spoil_distances() -> None:
    X = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    moved = (X + 128).astype(np.float32)
    for precision in ("float32", "bfloat16"):
        graph = nearest_neighbors(moved, n_neighbors=5, metric="euclidean", precision=precision)
        expected = nearest_neighbors(moved.astype(np.float64) - 128, n_neighbors=5, metric="euclidean")
        assert (graph.indices == expected.indices).all()


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"n_neighbors": 5}, ValueError, "n_neighbors is 5, and X has 5 rows; it must be at least 1 and at most 4"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors is 0"),
        ({"n_neighbors": 2.0}, TypeError, "n_neighbors is 2.0"),
        ({"n_neighbors": True}, TypeError, "n_neighbors is True"),
        ({"n_neighbors": 2, "metric": "dot"}, ValueError, "Unknown metric 'dot'; use one of cosine, euclidean"),
        ({"n_neighbors": 2, "engine": "exakt"}, UnknownNameError, "Did you mean 'exact'"),
        ({"n_neighbors": 2, "precision": "half"}, ValueError, "precision is 'half'"),
        ({"n_neighbors": 2, "device": "tpu"}, ValueError, "Unknown device 'tpu'"),
    ],
)
def test_says_what_is_wrong(keywords: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        nearest_neighbors(np.eye(5), **keywords)  # type: ignore[arg-type]


def test_says_what_is_wrong_with_features() -> None:
    with pytest.raises(ValueError, match="NaN"):
        nearest_neighbors([[np.nan], [1.0]], n_neighbors=1)
    with pytest.raises(ValueError, match="two dimensions"):
        nearest_neighbors([1.0, 2.0], n_neighbors=1)


def test_the_room_imports_torch_only_to_compute() -> None:
    code = "import sys, covey.neighbors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
