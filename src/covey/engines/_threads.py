"""How many threads this process may keep busy."""

import os

_limit: int | None = None  # what a pool leaves to this worker


def n_threads() -> int:
    """Tell how many threads this process should compute with.

    Returns
    -------
    n_threads : int
        The processors that it may run on; in a worker of a pool, its share of them.
    """
    if _limit is not None:
        return _limit
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(n: int) -> None:
    """Tell this process, a worker, how many threads are its own."""
    global _limit  # noqa: PLW0603 - a fact about this process, set once where it starts
    _limit = n
