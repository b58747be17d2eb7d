"""Checks, normalisation, means and seeds."""

import numpy as np
import pytest

from covey._arrays import check_features, cluster_means, draw_seed, iter_chunks, l2_normalize


def test_features_that_fit_are_not_copied(rng: np.random.Generator) -> None:
    X = rng.normal(size=(5, 3)).astype(np.float32)
    assert check_features(X) is X


@pytest.mark.parametrize("dtype", [np.float64, np.int32, bool])
def test_other_real_dtypes_become_float32(dtype: type) -> None:
    assert check_features(np.ones((2, 2), dtype=dtype)).dtype == np.float32


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, r"shape \(3,\)"),
        (np.ones((0, 3)), ValueError, r"at least 1 row"),
        (np.ones((3, 0)), ValueError, r"1 column"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), ValueError, r"NaN or infinity in 1 of 2 rows \(first: row 0\)"),
        (np.array([[1.0, 2.0], [np.inf, 2.0]]), ValueError, r"first: row 1"),
        (np.array([[1e300, 2.0]]), ValueError, r"NaN or infinity"),
        (np.array([["a", "b"]]), TypeError, r"real numbers"),
        (np.array([[1j, 2j]]), TypeError, r"real numbers"),
    ],
)
def test_bad_features_say_what_is_wrong(X: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_features(X)


def test_sparse_features_are_refused() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="toarray"):
        check_features(csr_array(np.eye(3)))


def test_l2_normalize_leaves_zero_rows(rng: np.random.Generator) -> None:
    X = rng.normal(size=(4, 3)).astype(np.float32)
    X[1] = 0
    norms = np.linalg.norm(l2_normalize(X), axis=1)
    np.testing.assert_allclose(norms, [1, 0, 1, 1], rtol=1e-6)


def test_cluster_means_match_the_definition(rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 3)).astype(np.float32)
    labels = rng.integers(-1, 3, size=20)
    means = cluster_means(X, labels, 5)
    for label in range(3):
        np.testing.assert_allclose(means[label], X[labels == label].mean(axis=0), rtol=1e-5)
    assert not means[3:].any()


def test_chunks_cover_everything_once() -> None:
    assert [(s.start, s.stop) for s in iter_chunks(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert list(iter_chunks(0, 3)) == []


def test_seeds() -> None:
    assert draw_seed(3) == draw_seed(3) != draw_seed(4)
    assert draw_seed(np.random.RandomState(0)) == draw_seed(np.random.RandomState(0))
    assert draw_seed(np.random.default_rng(0)) == draw_seed(np.random.default_rng(0))
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator is what must stay as it is
    assert draw_seed(None) != draw_seed(None)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002  as above
    with pytest.raises(ValueError, match="random_state is 'x'"):
        draw_seed("x")
