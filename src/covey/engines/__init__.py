"""Who runs the shards: this process, or a pool of processes. The work is the same function and gives the same files.

An engine is a function ``(function, shards, n_workers) -> iterator of results``; `ENGINES` maps names to engines, and
installed packages add theirs (a cluster's scheduler, say) through the entry-point group ``covey.engines``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from covey.registry import Registry

__all__ = ["ENGINES", "run_shards"]

S = TypeVar("S")
R = TypeVar("R")

ENGINES = Registry(
    "engine",
    "covey.engines",
    {
        "inline": "covey.engines._inline:run_inline",
        "pool": "covey.engines._pool:run_pool",
    },
)


def run_shards(
    function: Callable[[S], R], shards: Sequence[S], *, engine: str = "inline", n_workers: int = 1
) -> Iterator[R]:
    """Apply a function to every shard.

    Parameters
    ----------
    function : callable
        Takes one shard. The pool engine pickles it once for each process.
    shards : sequence
        What it is applied to.
    engine : str, default="inline"
        A registered engine.
    n_workers : int, default=1
        Processes of the pool; the inline engine has no use for it.

    Yields
    ------
    result : object
        In the order in which shards are finished.

    Raises
    ------
    UnknownNameError
        If there is no such engine.
    EngineError
        If a process of the pool died. An exception that `function` raises comes through as it is.
    """
    run: Callable[[Callable[[S], Any], Sequence[S], int], Iterator[Any]] = ENGINES[engine]
    return run(function, shards, n_workers)
