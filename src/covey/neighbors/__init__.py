"""Nearest neighbors: `nearest_neighbors` turns features into a `NeighborGraph`.

One function, several engines: `NEIGHBOR_ENGINES` maps names to classes whose instances fulfill `NeighborEngine` and
that are constructed with the keywords ``precision`` and ``device``. The exact one is the oracle for all others; its
torch is imported when it is asked for. Arrays only.
"""

from typing import TYPE_CHECKING, Any

from covey._arrays import check_features
from covey.neighbors._registry import NEIGHBOR_ENGINES
from covey.registry import lazy_exports
from covey.types import NeighborEngine, NeighborGraph

if TYPE_CHECKING:
    from covey.neighbors._embedding import neighbor_embedding

__all__ = ["METRIC_NAMES", "NEIGHBOR_ENGINES", "nearest_neighbors", "neighbor_embedding"]

__getattr__, __dir__ = lazy_exports(__name__, {"_embedding": ("neighbor_embedding",)})

METRIC_NAMES = ("cosine", "euclidean")


def nearest_neighbors(
    X: Any,
    *,
    n_neighbors: int = 50,
    metric: str = "cosine",
    engine: str = "exact",
    precision: str = "auto",
    device: str = "auto",
) -> NeighborGraph:
    """Find the nearest other rows of every row.

    Parameters
    ----------
    X : array-like of shape (n, d), dtype float32
        Features; other real dtypes are converted.
    n_neighbors : int, default=50
        Neighbors of a row, at most n - 1.
    metric : {"cosine", "euclidean"}, default="cosine"
        Cosine distance is ``1 - cosine``; that between a row of zeros and any other row is 1.
    engine : str, default="exact"
        A name in `NEIGHBOR_ENGINES`.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the search for candidates; ``"auto"`` takes bfloat16 where the hardware has it. Distances and order come
        from float32 in any case.
    device : str, default="auto"
        Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.

    Returns
    -------
    graph : NeighborGraph
        Indices and distances of shape (n, n_neighbors), nearest first. Of rows at the same distance the one with the
        lower index comes first. No row contains itself; an equal row elsewhere is a neighbor at distance 0.

    Raises
    ------
    ValueError
        If `X` is not a finite matrix, `n_neighbors` exceeds n - 1, or a word is not allowed.
    TypeError
        If `n_neighbors` is not a whole number.
    UnknownNameError
        If the engine is not registered.

    Examples
    --------
    >>> nearest_neighbors([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], n_neighbors=1).indices.ravel()
    array([2, 2, 0])
    """
    X = check_features(X)
    if isinstance(n_neighbors, bool) or not hasattr(n_neighbors, "__index__"):
        raise TypeError(f"n_neighbors is {n_neighbors!r}; it must be a whole number of at least 1.")
    if not 1 <= n_neighbors < len(X):
        raise ValueError(
            f"n_neighbors is {n_neighbors}, and X has {len(X)} rows; it must be at least 1 and at most "
            f"{len(X) - 1}, the number of other rows."
        )
    if metric not in METRIC_NAMES:
        raise ValueError(f"Unknown metric {metric!r}; use one of {', '.join(METRIC_NAMES)}.")
    searcher: NeighborEngine = NEIGHBOR_ENGINES[engine](precision=precision, device=device)
    return searcher.neighbors(X, int(n_neighbors), metric)
