"""An engine with processes, as another package may register one."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from covey.engines import ENGINES


def run_processes(
    function: Callable[[Any], Any], shards: Iterable[Any], *, n_workers: int | None = None
) -> Iterator[Any]:
    """Run shards in processes that are started afresh, so that all they get is pickled."""
    with ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn")) as workers:
        yield from workers.map(function, list(shards))


@pytest.fixture(autouse=True)
def processes() -> Iterator[None]:
    """Register it as ``processes``."""
    with ENGINES.register("processes", run_processes):
        yield
