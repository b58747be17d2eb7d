"""Experiments as files, run seed by seed in processes of their own, and reports that never mix protocols.

Labels are for scores: they never reach a method's `fit`. Start reading at `_experiment.py` (what is asked for),
`_protocol.py` (what is fitted and scored) and `runner` (how it runs).
"""

from covey.bench._experiment import Experiment, ExperimentFile, Method, Published, RowsSpec, narrow_files
from covey.bench._experiment_files import find_file, packaged_experiments, read_experiments
from covey.bench._ledger import Ledger
from covey.bench._protocol import PROTOCOLS, Protocol
from covey.bench.runner import RunReport, run_experiments

__all__ = [
    "PROTOCOLS",
    "Experiment",
    "ExperimentFile",
    "Ledger",
    "Method",
    "Protocol",
    "Published",
    "RowsSpec",
    "RunReport",
    "find_file",
    "narrow_files",
    "packaged_experiments",
    "read_experiments",
    "run_experiments",
]
