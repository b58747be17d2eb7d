"""The assignment of rows to targets, against all permutations and against SciPy's general solver."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from covey.objectives import assign_one_to_one, assign_to_capacities
from covey.objectives.mmdc import _transport


def draw_costs(n_rows: int, n_targets: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rows, n_targets))


def naive_minimum(costs: np.ndarray, columns: list[int]) -> float:
    """Try every order of the columns."""
    rows = np.arange(len(costs))
    return min(costs[rows, list(order)].sum() for order in itertools.permutations(columns))


def total(costs: np.ndarray, labels: np.ndarray) -> float:
    return float(costs[np.arange(len(costs)), labels].sum())


@pytest.mark.parametrize("seed", range(3))
def test_one_to_one_is_the_best_of_all_permutations(seed):
    costs = draw_costs(6, 6, seed)
    columns = assign_one_to_one(torch.from_numpy(costs))
    assert columns.dtype == torch.int64
    assert sorted(columns.tolist()) == list(range(6))
    assert total(costs, columns.numpy()) == pytest.approx(naive_minimum(costs, list(range(6))))


@pytest.mark.parametrize("rooms", [(2, 1, 3), (0, 6, 0), (3, 3, 0), (1, 1, 4)])
def test_capacities_are_kept_at_the_least_cost(rooms):
    costs = draw_costs(6, 3, 1)
    labels = assign_to_capacities(torch.from_numpy(costs), torch.tensor(rooms)).numpy()
    np.testing.assert_array_equal(np.bincount(labels, minlength=3), rooms)
    assert total(costs, labels) == pytest.approx(naive_minimum(costs, list(np.repeat(range(3), rooms))))


@given(
    n_rows=st.integers(1, 60),
    n_targets=st.integers(1, 12),
    levels=st.sampled_from([1, 3, 10**6]),  # few levels make many ties
    seed=st.integers(0, 10**6),
)
def test_the_transport_problem_has_the_optimum_of_the_assignment_problem(n_rows, n_targets, levels, seed):
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, levels, (n_rows, n_targets)) / levels
    rooms = np.bincount(rng.integers(0, n_targets, n_rows), minlength=n_targets)
    used = np.flatnonzero(rooms)
    labels = used[_transport(np.ascontiguousarray(costs[:, used]), rooms[used])]
    np.testing.assert_array_equal(np.bincount(labels, minlength=n_targets), rooms)
    repeated = costs[:, np.repeat(np.arange(n_targets), rooms)]
    assert total(costs, labels) == pytest.approx(repeated[linear_sum_assignment(repeated)].sum(), abs=1e-9)


def test_many_rows_that_all_want_the_same_target():
    """What the first steps of a training look like: outputs that hardly differ."""
    costs = draw_costs(400, 10, 0) * 1e-3 + np.arange(10)
    rooms = np.full(10, 40)
    labels = assign_to_capacities(torch.from_numpy(costs), torch.from_numpy(rooms)).numpy()
    repeated = np.repeat(costs, 40, axis=1)
    assert total(costs, labels) == pytest.approx(repeated[linear_sum_assignment(repeated)].sum(), abs=1e-9)


def test_costs_must_be_numbers_and_fit():
    costs = torch.rand(4, 3)
    with pytest.raises(ValueError, match=r"shape \(4, 3\); one to one"):
        assign_one_to_one(costs)
    with pytest.raises(ValueError, match=r"capacities \[1, 1, 1\] do not fit 4 rows and 3 targets"):
        assign_to_capacities(costs, torch.tensor([1, 1, 1]))
    with pytest.raises(ValueError, match="do not fit"):
        assign_to_capacities(costs, torch.tensor([5, -1, 0]))
    costs[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        assign_to_capacities(costs, torch.tensor([2, 1, 1]))
    with pytest.raises(ValueError, match="must have rows and targets"):
        assign_to_capacities(torch.empty(0, 3), torch.zeros(3, dtype=torch.int64))
