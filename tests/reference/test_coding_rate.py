"""Coding rates against twins written out from the equations, in float64."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch

from covey.errors import ConvergenceError
from covey.objectives.cpp import cluster_coding_rate, coding_rate, mlc_loss

EPS_SQUARED = 0.1


def unit_rows(n, d, seed=0, dtype=torch.float64):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return torch.nn.functional.normalize(rows, dim=1)


def soft_membership(n, k, seed=1):
    return torch.rand(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_rate(Z, weights):
    """One group: tr/2 log det(I + d / (tr ε²) Σ_i w_i z_i z_iᵀ), not yet divided by n."""
    n, d = Z.shape
    total = weights.sum()
    covariance = sum(weights[i] * np.outer(Z[i], Z[i]) for i in range(n))
    eigenvalues = np.linalg.eigvalsh(np.eye(d) + d / (total * EPS_SQUARED) * covariance)
    return total / 2 * np.log(eigenvalues).sum()


@pytest.mark.parametrize(("n", "d"), [(20, 5), (4, 9), (6, 6)])
def test_rate_is_equation_1_with_the_half(n, d):
    Z = unit_rows(n, d)
    assert coding_rate(Z).item() == pytest.approx(naive_rate(Z.numpy(), np.ones(n)) / n, rel=1e-12)


@pytest.mark.parametrize(("n", "d", "k"), [(20, 5, 3), (4, 9, 4), (12, 4, 12)])
def test_rate_of_groups_is_mcr2s(n, d, k):
    Z, membership = unit_rows(n, d), soft_membership(n, k)
    expected = sum(naive_rate(Z.numpy(), column) for column in membership.numpy().T) / n
    assert cluster_coding_rate(Z, membership).item() == pytest.approx(expected, rel=1e-12)


def test_unit_columns_give_equation_2():
    Z, membership = unit_rows(8, 3), soft_membership(8, 8)
    membership = membership / membership.sum(0)
    expected = sum(
        torch.logdet(torch.eye(3, dtype=Z.dtype) + 3 / EPS_SQUARED * Z.T @ column.diag() @ Z) / 16
        for column in membership.T
    )
    torch.testing.assert_close(cluster_coding_rate(Z, membership), expected)


def test_loss_is_the_negated_reduction_with_the_penalty():
    Z, membership = unit_rows(10, 4), soft_membership(10, 10)
    expected = cluster_coding_rate(Z, membership) - coding_rate(Z) + 0.025 * float((membership**2).sum())
    torch.testing.assert_close(mlc_loss(Z, membership, membership_penalty=0.025).total, expected)


@pytest.mark.parametrize(("n", "d", "k"), [(9, 4, 3), (3, 6, 3)])
def test_gradients(n, d, k):
    Z, membership = unit_rows(n, d).requires_grad_(), soft_membership(n, k).requires_grad_()
    assert torch.autograd.gradcheck(cluster_coding_rate, (Z, membership))
    assert torch.autograd.gradcheck(coding_rate, (Z,))


def test_blocks_do_not_change_the_answer(monkeypatch):
    Z, membership = unit_rows(10, 4).requires_grad_(), soft_membership(10, 7).requires_grad_()
    whole = cluster_coding_rate(Z, membership)
    expected = torch.autograd.grad(whole, (Z, membership))
    monkeypatch.setattr(import_module("covey.objectives.cpp"), "_BLOCK_ENTRIES", 80)  # two groups at once
    torch.testing.assert_close(cluster_coding_rate(Z, membership), whole)
    torch.testing.assert_close(torch.autograd.grad(cluster_coding_rate(Z, membership), (Z, membership)), expected)


def test_float32_is_near_float64_and_half_is_taken_to_float32():
    Z, membership = unit_rows(64, 32), soft_membership(64, 64)
    exact = cluster_coding_rate(Z, membership).item()
    single = cluster_coding_rate(Z.float(), membership.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact, rel=1e-5)
    assert cluster_coding_rate(Z.half(), membership.half()).dtype == torch.float32


def test_known_values():
    d = 4
    one_direction = torch.eye(d)[:1].expand(6, d)
    assert coding_rate(one_direction).item() == pytest.approx(0.5 * math.log(1 + d / EPS_SQUARED), rel=1e-5)
    spread = torch.eye(d)
    assert coding_rate(spread).item() == pytest.approx(d / 2 * math.log(1 + 1 / EPS_SQUARED), rel=1e-5)
    assert coding_rate(torch.zeros(3, d)).item() == 0
    # Each row its own cluster of one: nothing is gained over one direction.
    own = cluster_coding_rate(spread, torch.eye(d)).item()
    assert own == pytest.approx(0.5 * math.log(1 + d / EPS_SQUARED), rel=1e-5)


def test_groups_never_cost_more_than_all_rows_together():
    Z, membership = unit_rows(30, 6), soft_membership(30, 4)
    membership = membership / membership.sum(1, keepdim=True)
    assert cluster_coding_rate(Z, membership) < coding_rate(Z)


def test_an_empty_group_costs_nothing():
    Z, membership = unit_rows(8, 3), soft_membership(8, 2)
    padded = torch.cat([membership, torch.zeros(8, 1, dtype=torch.float64)], dim=1).requires_grad_()
    rate = cluster_coding_rate(Z, padded)
    torch.testing.assert_close(rate.detach(), cluster_coding_rate(Z, membership))
    rate.backward()
    assert padded.grad.isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_has_no_value_raises_and_says_what_to_do(bad):
    Z = unit_rows(6, 3, dtype=torch.float32)
    Z[2, 1] = bad
    with pytest.raises(ConvergenceError, match="Scale rows to unit length"):
        coding_rate(Z)


@pytest.mark.parametrize(
    ("Z", "membership", "eps_squared", "message"),
    [
        (torch.ones(4, 2), torch.ones(3, 2), 0.1, "the same n"),
        (torch.ones(4), torch.ones(4, 2), 0.1, "must be"),
        (torch.ones(4, 2), torch.ones(4, 2), 0.0, "eps_squared is 0"),
    ],
)
def test_what_does_not_fit_is_refused(Z, membership, eps_squared, message):
    with pytest.raises(ValueError, match=message):
        cluster_coding_rate(Z, membership, eps_squared=eps_squared)
