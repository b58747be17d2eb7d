"""Sinkhorn's projection against a twin on plain numbers, and its gradient against the unrolled iteration."""

import numpy as np
import pytest
import torch

from covey.errors import ConvergenceError
from covey.objectives.cpp import (
    cluster_coding_rate,
    doubly_stochastic,
    similarity_scores,
    sinkhorn_potentials,
    solve_gamma,
)

N, D, GAMMA = 12, 4, 0.175


@pytest.fixture
def codes():
    rows = torch.randn(N, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


def naive_sinkhorn(scores, n_half_steps):
    """Scale rows and columns of exp(scores) in turn; rows to 1, columns to n / m."""
    matrix = np.exp(scores)
    for step in range(n_half_steps):
        if step % 2 == 0:
            matrix = matrix / matrix.sum(axis=1, keepdims=True)
        else:
            matrix = matrix / matrix.sum(axis=0) * len(matrix) / matrix.shape[1]
    return matrix


@pytest.mark.parametrize("n_half_steps", [1, 3, 5, 11])
@pytest.mark.parametrize("n_columns", [N, 5])
def test_membership_is_the_scaled_matrix(codes, n_half_steps, n_columns):
    scores = similarity_scores(codes, codes[:n_columns], gamma=GAMMA)
    expected = naive_sinkhorn((codes @ codes[:n_columns].T).abs().numpy() / GAMMA, n_half_steps)
    np.testing.assert_allclose(doubly_stochastic(scores, n_half_steps=n_half_steps).numpy(), expected, rtol=1e-10)


def test_marginals(codes):
    scores = similarity_scores(codes, gamma=GAMMA)
    after_five = doubly_stochastic(scores)
    torch.testing.assert_close(after_five.sum(1), torch.ones(N, dtype=torch.float64))
    assert 0.85 < after_five.sum(0).min() < 1 < after_five.sum(0).max() < 1.15
    limit = doubly_stochastic(scores, n_half_steps=401)
    torch.testing.assert_close(limit.sum(0), torch.ones(N, dtype=torch.float64))
    torch.testing.assert_close(limit, limit.T)


def test_columns_of_a_rectangle_share_the_rows(codes):
    limit = doubly_stochastic(similarity_scores(codes, codes[:3], gamma=GAMMA), n_half_steps=401)
    torch.testing.assert_close(limit.sum(0), torch.full((3,), N / 3, dtype=torch.float64))


def unrolled(scores, n_half_steps, *, cut):
    columns = scores.new_zeros(scores.shape[1])
    for step in range(n_half_steps):
        if step % 2 == 0:
            rows = -(scores + columns).logsumexp(dim=1)
        else:
            columns = -(scores + rows[:, None]).logsumexp(dim=0)
            columns = columns.detach() if cut else columns
    return (scores + rows[:, None] + columns).exp()


def gradient_of(project, codes):
    codes = codes.clone().requires_grad_()
    weights = torch.randn(N, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (project(similarity_scores(codes, gamma=GAMMA)) * weights).sum().backward()
    return codes.grad


def test_gradient_is_that_of_the_iteration_cut_at_columns(codes):
    ours = gradient_of(doubly_stochastic, codes)
    torch.testing.assert_close(ours, gradient_of(lambda s: unrolled(s, 5, cut=True), codes))


def test_gradient_points_roughly_where_the_whole_iterations_does(codes):
    ours = gradient_of(doubly_stochastic, codes).flatten()
    whole = gradient_of(lambda s: unrolled(s, 5, cut=False), codes).flatten()
    assert not torch.allclose(ours, whole, rtol=1e-3)
    assert torch.cosine_similarity(ours, whole, dim=0) > 0.5  # 0.75 of these few random rows


def test_potentials_are_the_factors(codes):
    scores = similarity_scores(codes, gamma=GAMMA)
    rows, columns = sinkhorn_potentials(scores)
    torch.testing.assert_close((scores + rows[:, None] + columns).exp(), doubly_stochastic(scores))


def test_opposite_codes_are_alike_unless_asked_otherwise(codes):
    both = torch.cat([codes, -codes])
    torch.testing.assert_close(similarity_scores(both, gamma=GAMMA)[:N], similarity_scores(both, gamma=GAMMA)[N:])
    signed = similarity_scores(both, gamma=GAMMA, absolute=False)
    torch.testing.assert_close(signed[:N], -signed[N:])


def test_a_tiny_gamma_is_no_problem_for_logarithms():
    membership = doubly_stochastic(similarity_scores(torch.eye(5), gamma=1e-4))
    torch.testing.assert_close(membership, torch.eye(5))


@pytest.mark.parametrize("n_half_steps", [0, 2, -1])
def test_an_even_number_of_half_steps_is_refused(codes, n_half_steps):
    with pytest.raises(ValueError, match="must be odd"):
        doubly_stochastic(codes @ codes.T, n_half_steps=n_half_steps)


def test_gamma_is_positive(codes):
    with pytest.raises(ValueError, match="gamma is 0"):
        similarity_scores(codes, gamma=0)


def test_scores_without_value_raise():
    with pytest.raises(ConvergenceError, match="raise gamma"):
        doubly_stochastic(torch.full((3, 3), float("nan")))


@pytest.mark.parametrize("perplexity", [1.5, 4.0, 9.0])
def test_the_solved_gamma_has_the_perplexity(codes, perplexity):
    cosines = (codes @ codes.T).requires_grad_()
    gamma = solve_gamma(cosines, perplexity=perplexity)
    p = np.exp(cosines.detach().numpy() / float(gamma))
    p /= p.sum(axis=1, keepdims=True)
    assert np.exp(-(p * np.log(p)).sum(axis=1).mean()) == pytest.approx(perplexity, rel=1e-3)
    assert not gamma.requires_grad


def test_a_perplexity_out_of_reach_is_met_as_nearly_as_can_be(codes):
    assert solve_gamma(codes @ codes.T, perplexity=N) == pytest.approx(10, rel=1e-3)
    assert solve_gamma(torch.ones(3, 3), perplexity=1.0) == pytest.approx(1e-3, rel=1e-3)
    for wrong in (0.9, N + 1):
        with pytest.raises(ValueError, match=f"must lie in .1, {N}."):
            solve_gamma(codes @ codes.T, perplexity=wrong)


def ideal_rate(n_groups, gamma, eps_squared=0.1):
    """R^c / d of `n_groups` ideal groups, as docs/methods/cpp.md derives it."""
    tau = (n_groups - 1) / (n_groups - 1 + np.exp(1 / gamma))  # weight outside a row's own group
    own = np.log1p(n_groups / eps_squared * (1 - tau)) / n_groups
    others = (1 - 1 / n_groups) * np.log1p(n_groups / (n_groups - 1) * tau / eps_squared)
    return (own + others) / 2


@pytest.mark.parametrize("n_groups", [2, 8, 24, 48])
@pytest.mark.parametrize("gamma", [0.1, 0.15, 0.2])
def test_ideal_groups_have_the_rate_of_the_formula(n_groups, gamma):
    d = 48
    Z = torch.eye(d, dtype=torch.float64).repeat(2, 1)  # d / n_groups axes a group, each of two rows
    C = torch.eye(n_groups, dtype=torch.float64).repeat_interleave(d // n_groups, dim=0).repeat(2, 1)
    membership = doubly_stochastic(similarity_scores(C, gamma=gamma))
    assert float(cluster_coding_rate(Z, membership)) == pytest.approx(d * ideal_rate(n_groups, gamma), rel=1e-9)


@pytest.mark.parametrize(
    ("gamma", "n_groups"), [(0.1, 120), (0.12, 50), (0.13, 36), (0.15, 21), (0.175, 13), (0.19, 11)]
)
def test_a_fixed_gamma_is_a_number_of_clusters(gamma, n_groups):
    candidates = np.arange(2, 201)
    assert candidates[np.argmin(ideal_rate(candidates, gamma))] == pytest.approx(n_groups, abs=1)
