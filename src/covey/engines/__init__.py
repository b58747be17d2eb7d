"""Engines: who runs the shards of a long task.

Start reading at `run_shards`. An engine is one function ``(function, shards, n_workers) -> iterator of results``;
another one, on Ray actors for example, is one more file and one more row, or an installed package's entry point.
Splitting a task over several machines needs none: each machine runs every n-th shard of the plan.
"""

from covey.engines._engine import n_threads, run_shards
from covey.engines._registry import ENGINES

__all__ = ["run_shards", "ENGINES", "n_threads"]
