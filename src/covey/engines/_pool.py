"""The engine with processes: spawned, watched, and never outliving their parent.

Why not `concurrent.futures`: it cannot stop a worker in the middle of a shard, so an interrupt or an error would wait
for every shard that is running.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from covey.engines._threads import limit_threads, n_threads

Shard = TypeVar("Shard")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PATIENCE_S = 5.0


@dataclass(slots=True, eq=False)
class _Worker(Generic[Shard]):
    """A process, our end of the pipe to it, and what it is doing."""

    process: Any
    pipe: Connection
    shard: Shard | None = None


def run_pool(
    function: Callable[[Shard], Result], shards: Iterable[Shard], *, n_workers: int | None = None
) -> Iterator[Result]:
    """Run shards in spawned processes; see `run_shards`.

    Raises
    ------
    RuntimeError
        If a worker dies, for example because the machine has no memory left.
    """
    n_workers = n_workers or n_threads()
    waiting = iter(shards)
    first = list(islice(waiting, n_workers))
    workers: list[_Worker[Shard]] = []
    try:
        workers.extend(_start(function, max(1, n_threads() // n_workers)) for _ in first)
        for worker, shard in zip(workers, first, strict=True):
            _give(worker, shard)
        while busy := [worker for worker in workers if worker.shard is not None]:
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is ready)
                result = _receive(worker)
                _give(worker, next(waiting, None))
                yield result
    finally:
        _stop(workers)


def _start(function: Callable[[Shard], Any], share: int) -> _Worker[Shard]:
    """Start a worker; all of them come up side by side before the first gets a shard."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs, os.getpid(), share), daemon=True)
    process.start()
    theirs.close()  # so that the pipe ends when the process does
    return _Worker(process, ours)


def _give(worker: _Worker[Shard], shard: Shard | None) -> None:
    """Send a worker its next shard; None lets it end."""
    worker.shard = shard
    try:
        worker.pipe.send(shard)
    except (BrokenPipeError, ConnectionResetError):
        if shard is not None:
            raise _death(worker) from None


def _receive(worker: _Worker[Any]) -> Any:
    """Take what a worker made of its shard; raise what it raised."""
    try:
        error, result = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        raise _death(worker) from None
    if error is not None:
        error.add_note(f"in {worker.shard}")
        raise error
    return result


def _death(worker: _Worker[Any]) -> RuntimeError:
    """Put a worker's end into words."""
    worker.process.join(_PATIENCE_S)
    return RuntimeError(
        f"The process that worked on {worker.shard} died with exit code {worker.process.exitcode} "
        "(-9 is what a machine without memory left does to it); start again with fewer workers."
    )


def _stop(workers: list[_Worker[Any]]) -> None:
    """End all workers: idle ones by themselves, busy ones at once; a shard in hand is simply not written."""
    for worker in workers:
        if worker.shard is not None:
            worker.process.kill()
    for worker in workers:
        worker.pipe.close()
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _work(function: Callable[[Any], Any], pipe: Connection, parent: int, share: int) -> None:
    """Be a worker: take shards from the pipe until there is none, send back what the function makes of them."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's affair
    limit_threads(share)
    try:
        while (shard := pipe.recv()) is not None:
            pipe.send(_attempt(function, shard))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def _attempt(function: Callable[[Any], Any], shard: Any) -> tuple[BaseException | None, Any]:
    """Run the function; give ``(None, result)`` or ``(error, None)``, either of which can be pickled."""
    try:
        return None, function(shard)
    except Exception as error:  # noqa: BLE001 - it is raised again in the parent
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, only to see whether they can be read back
        except Exception:  # noqa: BLE001 - an exception with a constructor of its own may fail in any way
            return RuntimeError("".join(traceback.format_exception_only(error))), None
        return error, None


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when the parent's thread that started it ends; elsewhere the pipe tells it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
