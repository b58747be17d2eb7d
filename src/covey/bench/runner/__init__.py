"""Running experiments, a process for each seed. Start reading at `_run.py` (the schedule), `_worker.py` (one seed)."""

from covey.bench.runner._scheduling import EXPERIMENTS, RunReport, run_experiments

__all__ = ["EXPERIMENTS", "RunReport", "run_experiments"]
