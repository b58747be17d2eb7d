"""The engine without workers."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def run_inline(
    function: Callable[[Shard], Result], shards: Iterable[Shard], *, n_workers: int | None = None
) -> Iterator[Result]:
    """Run shards here, one after the other; see `run_shards`. The function may have threads of its own."""
    del n_workers
    for shard in shards:
        try:
            result = function(shard)
        except Exception as error:
            error.add_note(f"in {shard}")
            raise
        yield result
