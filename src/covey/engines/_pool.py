"""Several processes, each started afresh ("spawn"), that take shards as they become free and die with their parent."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from covey.errors import EngineError

S = TypeVar("S")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1  # prctl's number for "send me this signal when my parent dies"
_state: dict[str, Callable[[Any], Any]] = {}  # this worker process's function, set once by `_start`


def run_pool(function: Callable[[S], R], shards: Sequence[S], n_workers: int) -> Iterator[R]:
    """Run the shards in `n_workers` spawned processes, in the order in which they are finished."""
    n_processes = max(1, min(n_workers, len(shards)))
    pool = ProcessPoolExecutor(
        n_processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(pickle.dumps(function), os.getpid()),
    )
    try:
        futures = [pool.submit(_run, shard) for shard in shards]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise EngineError(
            "A process of the pool died, perhaps for lack of memory. What was finished is kept; run the same command "
            "again with fewer --workers, or with --engine inline."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(pickled: bytes, parent: int) -> None:
    """Prepare a worker: end with the parent, leave Ctrl-C to it, and unpickle the function once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _state["function"] = pickle.loads(pickled)  # noqa: S301  made by this very program a moment ago


def _run(shard: Any) -> Any:
    return _state["function"](shard)
