"""The one call that hands shards to an engine, the engine without workers, and how many threads there are."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from covey.engines._registry import ENGINES
from covey.errors import InvalidValueError

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def run_shards(
    function: Callable[[Shard], Result],
    shards: Iterable[Shard],
    *,
    engine: str = "inline",
    n_workers: int | None = None,
) -> Iterator[Result]:
    """Apply a function to shards and iterate over what it returns, as soon as it is there.

    Parameters
    ----------
    function : callable
        Takes one shard. It must be safe to run twice on the same shard, and leave nothing behind when it is killed. An
        engine with processes of its own pickles it, the shards and the results.
    shards : iterable
        Units of work. ``str(shard)`` names one in messages. Taken one by one, as workers become free.
    engine : str, default="inline"
        A name of `ENGINES`. ``"inline"`` runs them here, one after the other.
    n_workers : int, optional
        How many at once, for engines that have workers; as many as there are processors if not given.

    Returns
    -------
    results : iterator of object
        One for each shard, in the order in which they finish.

    Raises
    ------
    UnknownNameError
        If there is no such engine.
    InvalidValueError
        If `n_workers` is below 1.
    Exception
        What the function raised, with a note that names the shard. Shards that run beside it are stopped.
    """
    if n_workers is not None and n_workers < 1:
        raise InvalidValueError(f"n_workers is {n_workers}; it must be at least 1.")
    results: Iterator[Result] = ENGINES[engine](function, shards, n_workers=n_workers)
    return results


def run_inline(
    function: Callable[[Shard], Result], shards: Iterable[Shard], *, n_workers: int | None = None
) -> Iterator[Result]:
    """Run shards here, one after the other; see `run_shards`. The function may have threads of its own.

    Parameters
    ----------
    function : callable
        Takes one shard.
    shards : iterable
        Units of work.
    n_workers : int, optional
        Is ignored: there is one.

    Yields
    ------
    result : object
        One for each shard, in order.
    """
    del n_workers
    for shard in shards:
        try:
            result = function(shard)
        except Exception as error:
            error.add_note(f"in {shard}")
            raise
        yield result


def n_threads() -> int:
    """Count the threads that this process should compute with.

    Returns
    -------
    n_threads : int
        The processors that it may run on.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
