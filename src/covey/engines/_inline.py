"""One shard after another in this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

S = TypeVar("S")
R = TypeVar("R")


def run_inline(function: Callable[[S], R], shards: Sequence[S], n_workers: int) -> Iterator[R]:  # noqa: ARG001  engines share one signature
    """Run the shards one by one, in order, in this process."""
    return map(function, shards)
