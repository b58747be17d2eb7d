"""Rounded products against exact ones: what they leave out never exceeds the ceiling, and codes stay the same."""

import numpy as np
import pytest
import torch

from covey._arrays import l2_normalize
from covey.cluster._subspace import _codes, elastic_net, matching_pursuit
from covey.cluster._subspace._codes import Atoms

N_ROWS = 500


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    """Unit rows near five subspaces of R^40, with near-copies, which rounded products cannot tell apart, and a zero."""
    rng = np.random.default_rng(0)
    mixed = np.concatenate([rng.normal(size=(N_ROWS // 5, 4)) @ rng.normal(size=(4, 40)) for _ in range(5)])
    mixed += 0.05 * rng.normal(size=mixed.shape)
    mixed[1:40] = mixed[0] + 1e-4 * rng.normal(size=(39, 40))
    mixed[-1] = 0
    return torch.from_numpy(l2_normalize(mixed.astype(np.float32)))


@pytest.fixture
def rounded(rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> Atoms:
    monkeypatch.setattr(_codes, "_FEWEST_ROWS", 1)
    return Atoms.prepare(rows, precision="bfloat16")


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_what_is_left_out_stays_below_the_ceiling(rows: torch.Tensor, rounded: Atoms, scale: float) -> None:
    vectors = scale * (rows[::7] + 0.3 * torch.randn(72, 40, generator=torch.Generator().manual_seed(0)))
    own = torch.arange(N_ROWS)[::7, None]
    found = rounded.strongest(vectors, own, 12)
    exact = (vectors.double() @ rows.double().T).abs().scatter_(1, own, -1)
    assert (found.margin > 0).all()
    assert not (found.indices == own).any()
    np.testing.assert_array_less(
        (found.sizes - exact.gather(1, found.indices)).abs(), found.margin[:, None].expand(-1, 12) + 1e-12
    )
    left_out = exact.scatter(1, found.indices, -1).amax(dim=1)
    assert (left_out <= found.ceiling).all()
    assert (found.sizes.diff(dim=1) <= 0).all()


def test_exact_products_have_no_margin(rows: torch.Tensor, rounded: Atoms) -> None:
    found = rounded.strongest(rows[:5], torch.arange(5)[:, None], 3, exact=True)
    expected = (rows[:5] @ rows.T).abs().scatter_(1, torch.arange(5)[:, None], -1).topk(3, dim=1)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert not found.margin.any()


def test_few_rows_are_not_rounded(rows: torch.Tensor) -> None:
    assert Atoms.prepare(rows, precision="bfloat16").rounded is None


@pytest.mark.usefixtures("rounded")
def test_pursuit_chooses_the_same_rows(rows: torch.Tensor) -> None:
    quick, exact = (matching_pursuit(rows, n_nonzero=4, tol=1e-6, precision=word) for word in ("bfloat16", "float32"))
    assert (quick.indices == exact.indices).double().mean() > 0.98  # of near-copies either
    assert (quick.indices == exact.indices)[40:].double().mean() > 0.995
    np.testing.assert_allclose(quick.residuals, exact.residuals, atol=1e-5)


@pytest.mark.usefixtures("rounded")
@pytest.mark.parametrize("gamma", [3.0, 30.0])
def test_the_elastic_net_is_certified_the_same(rows: torch.Tensor, gamma: float) -> None:
    settings = {"gamma": gamma, "tau": 0.9, "tol": 1e-3, "n_candidates": 20}
    quick, exact = (elastic_net(rows, **settings, precision=word) for word in ("bfloat16", "float32"))
    assert quick.residuals.max() <= 1e-3
    assert exact.residuals.max() <= 1e-3
    X, c = rows.double().numpy(), quick.to_sparse().toarray()
    correlations = X @ X.T
    np.fill_diagonal(correlations, 0)
    weight = gamma * 0.9 / np.maximum(np.abs(correlations).max(axis=1), 1e-12)

    def objective(code: np.ndarray) -> np.ndarray:
        penalty = 0.9 * np.abs(code).sum(axis=1) + 0.05 * (code**2).sum(axis=1)
        return penalty + weight / 2 * ((X - code @ X) ** 2).sum(axis=1)

    np.testing.assert_allclose(objective(c)[:-1], objective(exact.to_sparse().toarray())[:-1], rtol=1e-4)
    pull = weight[:, None] * ((X - c @ X) @ X.T)
    np.fill_diagonal(pull, 0)
    violation = np.where(c != 0, np.abs(pull - 0.1 * c - 0.9 * np.sign(c)), np.abs(pull) - 0.9).max(axis=1)
    assert (violation[:-1] / 0.9 <= 1.2e-3).all()
