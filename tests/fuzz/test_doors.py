"""Damaged input of every kind ends in a result or in one error of covey's own; `make fuzz` does it for an hour.

Each kind has a budget of time, 60 seconds in all; examples are found and made small by hypothesis.
"""

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"
SECONDS = {"projects": 15.0, "columns": 15.0}
OTHERS_S = 4.0
LEAST_TRIALS = 5


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("covey_fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["covey_fuzz"] = module
    spec.loader.exec_module(module)
    return module


fuzz = _load()
edits = st.lists(
    st.tuples(st.integers(0, fuzz.N_KINDS_OF_EDITS - 1), st.floats(0, 1, exclude_max=True), st.binary(max_size=64)),
    min_size=1,
    max_size=4,
)


def test_the_budget_is_a_minute() -> None:
    assert sum(SECONDS.get(kind, OTHERS_S) for kind in fuzz.KINDS) <= 60
    assert set(SECONDS) <= set(fuzz.KINDS)


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_damaged_input_is_one_error_at_most(kind: str) -> None:
    if kind in ("projects", "columns", "options"):
        fuzz.good_project()  # outside the budget
    ends = time.monotonic() + SECONDS.get(kind, OTHERS_S)
    n_trials = 0

    @settings(
        max_examples=400,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(edits, st.integers(0, 2**32 - 1))
    def run(changes: list[tuple[int, float, bytes]], choice: int) -> None:
        nonlocal n_trials
        if time.monotonic() < ends or n_trials < LEAST_TRIALS:
            n_trials += 1
            fuzz.run_trial(kind, changes, choice)

    run()
    assert n_trials >= LEAST_TRIALS


@pytest.mark.parametrize("kind", sorted(set(fuzz.KINDS) - {"options"}))
def test_whole_input_is_accepted(kind: str) -> None:
    """Without damage nothing is refused, so the trials above reach what lies behind the doors."""
    accepted = [fuzz.run_trial(kind, [(1, 0.0, b"")], choice) for choice in (0, 2, 4)]
    assert any(accepted)


def test_edits_change_bytes() -> None:
    data = bytes(range(100))
    for kind in range(fuzz.N_KINDS_OF_EDITS):
        assert fuzz.mutate(data, [(kind, 0.5, b"abcd")]) != data
