"""What every package that computes with arrays needs: checks, chunks, normalization, seeds (NumPy only)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from covey.types import FloatArray, IntArray

_SHORTEST, _LONGEST = 1e-15, 1e18  # rows whose squares float32 holds


def check_features(X: Any, *, name: str = "X", min_rows: int = 1) -> FloatArray:
    """Return features as a finite, C-ordered float32 matrix.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features of any real dtype. A matrix that already fits is returned as it is, not copied.
    name : str, default="X"
        What the caller calls it, for messages.
    min_rows : int, default=1
        The fewest rows allowed.

    Returns
    -------
    X : ndarray of shape (n, d), dtype float32
        Row i stays row i.

    Raises
    ------
    ValueError
        If the array is not two-dimensional, is too small, or holds NaN or infinity.
    TypeError
        If it is sparse or not numeric.
    """
    if hasattr(X, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix; features must be dense: call .toarray() first.")
    array = np.asarray(X)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}; features must be real numbers.")
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; features must have two dimensions (n_samples, n_features).")
    if array.shape[0] < min_rows or array.shape[1] < 1:
        raise ValueError(f"{name} has shape {array.shape}; at least {min_rows} row(s) and 1 column are needed.")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = ~np.isfinite(array.sum(axis=1, dtype=np.float64))
    if bad.any():
        raise ValueError(
            f"{name} holds NaN or infinity in {int(bad.sum())} of {len(array)} rows (first: row {int(bad.argmax())}); "
            "leave those rows out or correct them."
        )
    return array


def l2_normalize(X: FloatArray) -> FloatArray:
    """Scale each row to unit Euclidean length; a zero row stays zero.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows.

    Returns
    -------
    X : ndarray of shape (n, d), dtype float32
        A new array.
    """
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(X, axis=1, keepdims=True)
    is_extreme = ~((norms > _SHORTEST) & (norms < _LONGEST))[:, 0]
    if is_extreme.any():  # their squares leave float32, or are zero
        peaks = np.abs(X[is_extreme]).max(axis=1, keepdims=True)
        X = X.copy()
        X[is_extreme] /= np.where(peaks > 0, peaks, 1)
        norms[is_extreme] = np.linalg.norm(X[is_extreme], axis=1, keepdims=True)
    return np.asarray(X / np.where(norms > 0, norms, 1), dtype=np.float32)


def iter_chunks(n_rows: int, chunk_size: int) -> Iterator[slice]:
    """Yield slices that cover ``range(n_rows)`` in order, each of at most `chunk_size` rows."""
    for start in range(0, n_rows, chunk_size):
        yield slice(start, min(start + chunk_size, n_rows))


def iter_blocks(n_rows: int, row_size: int, block_size: int) -> Iterator[slice]:
    """Yield slices that cover ``range(n_rows)`` in order, each of as many rows as fit into a block, at least one.

    Parameters
    ----------
    n_rows : int
        How many rows there are.
    row_size : int
        What one row takes: entries or bytes, at least 1.
    block_size : int
        What a block may take, in the same unit.
    """
    return iter_chunks(n_rows, max(1, block_size // row_size))


def top_places(values: FloatArray, n_top: int) -> IntArray:
    """Return where the largest values are, largest first; of equal values the lower place comes first.

    Parameters
    ----------
    values : ndarray of shape (n,)
        No NaN.
    n_top : int
        How many places; all, in order, if there are fewer values.

    Returns
    -------
    places : ndarray of shape (min(n, n_top),), dtype int64
        Those of ``np.argsort(-values, kind="stable")[:n_top]``, from one pass over the values.
    """
    if len(values) <= n_top:
        return np.argsort(-values, kind="stable")
    # All values that reach the n_top-th largest; ties at the edge are settled by the stable sort.
    edge = np.partition(values, -n_top)[-n_top]
    possible = np.flatnonzero(values >= edge)
    return np.asarray(possible[np.argsort(-values[possible], kind="stable")[:n_top]])


def cluster_means(X: FloatArray, labels: IntArray, n_clusters: int) -> FloatArray:
    """Average the rows of each cluster; the mean of an empty cluster is zero.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Rows.
    labels : ndarray of shape (n,), dtype int64
        Labels in [-1, n_clusters); -1 takes no part.
    n_clusters : int
        Number of clusters.

    Returns
    -------
    means : ndarray of shape (n_clusters, d), dtype float32
        Summed in float64.
    """
    kept = labels >= 0
    order = np.argsort(labels[kept], kind="stable")
    counts = np.bincount(labels[kept], minlength=n_clusters)
    sums = np.zeros((n_clusters, X.shape[1]))
    rows = np.flatnonzero(kept)[order]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    for label in np.flatnonzero(counts):
        sums[label] = X[rows[bounds[label] : bounds[label + 1]]].sum(axis=0, dtype=np.float64)
    return np.asarray(sums / np.maximum(counts, 1)[:, None], dtype=np.float32)


def draw_seed(random_state: Any) -> int:
    """Turn scikit-learn's `random_state` into one integer seed without touching any global generator.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        None draws fresh entropy from the operating system; a generator is advanced.

    Returns
    -------
    seed : int
        In [0, 2**31).

    Raises
    ------
    ValueError
        For anything else.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return int(np.random.SeedSequence(int(random_state)).generate_state(1)[0] >> 1)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    raise ValueError(
        f"random_state is {random_state!r}; it must be None, an int, a numpy RandomState or a numpy Generator."
    )
