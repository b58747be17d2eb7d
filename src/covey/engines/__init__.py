"""Engines: who runs the shards of a long task.

Start reading at `run_shards`. An engine is one function in one file, ``(function, shards, n_workers) -> iterator of
results``; another one, on Ray actors for example, is one more file and one more row, or an installed package's entry
point. Splitting a task over the machines of a cluster needs none: each machine runs every n-th shard of the plan.
"""

from covey.engines._registry import ENGINES
from covey.engines._run import run_shards
from covey.engines._threads import n_threads

__all__ = ["run_shards", "ENGINES", "n_threads"]
