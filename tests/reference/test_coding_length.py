"""Coding lengths against twins written from the equations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.errors import ConvergenceError
from covey.objectives import coding_length, coding_rate, gaussian_code_lengths


def naive_length(Z: np.ndarray, labels: np.ndarray, eps_squared: float, has_means: bool) -> float:
    """Algorithm 1's L_k, a term at a time, by eigenvalues of the d x d matrix."""
    n, d = Z.shape
    total = 0.0
    for label in np.unique(labels):
        part = Z[labels == label].astype(np.float64)
        if has_means:
            mean = part.mean(axis=0)
            total += d / 2 * math.log(1 + mean @ mean / eps_squared)
            part = part - mean
        spectrum = np.linalg.eigvalsh(part.T @ part)
        rate = sum(math.log(1 + d / (len(part) * eps_squared) * value) for value in spectrum) / 2
        total += (len(part) + d) * rate - len(part) * math.log(len(part) / n)
    return total


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 30), (1, 3), (5, 1)])
@pytest.mark.parametrize("has_means", [False, True])
def test_length_is_that_of_the_equation_on_either_side_of_the_gram_matrix(n: int, d: int, has_means: bool) -> None:
    rng = np.random.default_rng(n + d)
    Z, labels = rng.normal(size=(n, d)), rng.integers(0, 4, n)
    found = coding_length(torch.from_numpy(Z), torch.from_numpy(labels), eps_squared=0.3, has_means=has_means)
    assert found.total == pytest.approx(naive_length(Z, labels, 0.3, has_means), rel=1e-12)
    assert (found.means > 0) == has_means


def test_one_cluster_costs_its_rate_and_no_labels() -> None:
    Z = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 5)))
    found = coding_length(Z, torch.zeros(30, dtype=torch.int64))
    assert found.labels == 0
    assert found.rows == pytest.approx(35 * float(coding_rate(Z)), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_names_and_order_do_not_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z, labels = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
    order, names = rng.permutation(20), np.array([7, 2, 5])
    one = coding_length(torch.from_numpy(Z), torch.from_numpy(labels))
    other = coding_length(torch.from_numpy(Z[order]), torch.from_numpy(names[labels[order]]))
    assert one.total == pytest.approx(other.total, rel=1e-10)


def test_equal_rows_have_a_length() -> None:
    found = coding_length(torch.ones(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]), has_means=True)
    assert found.rows == 0
    assert found.labels == pytest.approx(6 * math.log(2))


def test_held_out_length_is_the_divergence_of_two_gaussians() -> None:
    rng = np.random.default_rng(1)
    d, eps_squared = 4, 0.2
    z, mean, root = rng.normal(size=d), rng.normal(size=d), rng.normal(size=(d, d))
    covariance, noise = root @ root.T, eps_squared / d * np.eye(d)
    wide = covariance + noise
    divergence = 0.5 * (
        np.trace(np.linalg.inv(wide) @ noise)
        + (z - mean) @ np.linalg.inv(wide) @ (z - mean)
        - d
        + math.log(np.linalg.det(wide) / np.linalg.det(noise))
    )
    arrays = (torch.from_numpy(a[None]) for a in (z, mean, covariance))
    found = gaussian_code_lengths(*arrays, torch.zeros(1, dtype=torch.int64), eps_squared=eps_squared)
    assert float(found[0]) == pytest.approx(divergence, rel=1e-10)


def test_rows_that_made_the_gaussian_cost_its_coding_rate_on_average() -> None:
    rng = np.random.default_rng(2)
    Z = torch.from_numpy(rng.normal(size=(50, 3)))
    Z -= Z.mean(dim=0)
    covariance = (Z.T @ Z / 50)[None]
    lengths = gaussian_code_lengths(
        Z, torch.zeros(1, 3, dtype=torch.float64), covariance, torch.zeros(50, dtype=torch.int64), eps_squared=0.1
    )
    assert float(lengths.mean()) == pytest.approx(float(coding_rate(Z)), rel=1e-12)
    assert bool((lengths >= 0).all())


@pytest.mark.parametrize(
    ("Z", "labels", "eps_squared", "words"),
    [
        (torch.ones(3, 2), torch.zeros(4, dtype=torch.int64), 0.1, r"\(3, 2\) and labels \(4,\)"),
        (torch.ones(0, 2), torch.zeros(0, dtype=torch.int64), 0.1, "at least 1"),
        (torch.ones(3, 2), torch.tensor([0, -1, 0]), 0.1, "leave noise out"),
        (torch.ones(3, 2), torch.tensor([0, 1, 0]), 0.0, "must be larger than 0"),
    ],
)
def test_says_what_is_wrong(Z: torch.Tensor, labels: torch.Tensor, eps_squared: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        coding_length(Z, labels, eps_squared=eps_squared)


def test_not_a_number_has_no_length() -> None:
    Z = torch.ones(4, 2)
    Z[1, 1] = torch.nan
    with pytest.raises(ConvergenceError, match="has no value"):
        coding_length(Z, torch.tensor([0, 0, 1, 1]))
