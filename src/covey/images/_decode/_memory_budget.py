"""How much memory all readers of this process may fill with decoded pixels at once."""

import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 4 * 2**30
RETURNED_BYTES: Final = 2**26
"""After an image that took this much, what is free is given back to the system."""

_SHARE: Final = 4  # a quarter of the memory
_FALLBACK_BYTES: Final = 2**30  # where the system does not say how much memory it has
_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryBudget:
    """Let readers decode side by side as long as their images fit a number of bytes together.

    Parameters
    ----------
    n_bytes : int
        The budget. An image that needs more than all of it is decoded alone.

    Attributes
    ----------
    n_bytes : int
        As given.
    n_peak : int
        Most bytes that were held at once, in bytes as the readers estimated them.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.n_peak = 0
        self._n_held = 0
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def hold(self, n_bytes: int) -> Iterator[None]:
        """Wait for a turn, hold bytes while the block runs, and give them back.

        Parameters
        ----------
        n_bytes : int
            Bytes that decoding is going to need. Whoever came first goes first, so that a large image is not passed by
            small ones for ever.
        """
        ticket = object()
        with self._condition:
            self._waiting.append(ticket)
            try:
                self._condition.wait_for(lambda: self._waiting[0] is ticket and self._has_room(n_bytes))
                self._n_held += n_bytes
                self.n_peak = max(self.n_peak, self._n_held)
            finally:
                self._waiting.remove(ticket)
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._n_held -= n_bytes
                self._condition.notify_all()

    def _has_room(self, n_bytes: int) -> bool:
        return self._n_held == 0 or self._n_held + n_bytes <= self.n_bytes


def default_budget_bytes() -> int:
    """Return a quarter of this machine's memory, at most 4 GiB.

    Returns
    -------
    n_bytes : int
        In bytes. The limit of a container counts as the machine's memory.
    """
    return min(_memory_bytes() // _SHARE, MOST_BYTES)


def return_free_memory() -> None:
    """Give free memory back to the system.

    glibc keeps what a thread has freed for that thread: sixteen readers that decode one after another would hold
    sixteen images (1.7 GB in a test with a budget of 0.6 GB).
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def _memory_bytes() -> int:
    """Return the memory of the machine, or the limit of the container if that is lower."""
    limits = [_physical_bytes()]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return min(limits)


def _physical_bytes() -> int:
    if sys.platform == "win32":
        status = (ctypes.c_ulonglong * 8)()  # MEMORYSTATUSEX: length and load in the first 8 bytes, then the total
        ctypes.c_ulong.from_buffer(status).value = ctypes.sizeof(status)
        return int(status[1]) if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else _FALLBACK_BYTES
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return _FALLBACK_BYTES


_budget = MemoryBudget(default_budget_bytes())


def reading_budget() -> MemoryBudget:
    """Return the one budget of this process.

    Returns
    -------
    budget : MemoryBudget
        A quarter of the memory, at most 4 GiB, unless `limit_reading_memory` changed it.
    """
    return _budget


def limit_reading_memory(n_bytes: int | None = None) -> MemoryBudget:
    """Set how many bytes all readers of this process may fill at once; call it while none is reading.

    Parameters
    ----------
    n_bytes : int, optional
        The budget in bytes; a quarter of the memory, at most 4 GiB, if not given.

    Returns
    -------
    budget : MemoryBudget
        The new budget.

    Raises
    ------
    ValueError
        If it is below 1.
    """
    global _budget  # noqa: PLW0603 - a fact about this process, as its memory is
    if n_bytes is not None and n_bytes < 1:
        raise ValueError(f"n_bytes is {n_bytes}; it must be at least 1.")
    _budget = MemoryBudget(default_budget_bytes() if n_bytes is None else n_bytes)
    return _budget
