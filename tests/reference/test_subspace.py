"""Codes of EnSC and SSC-OMP against twins in float64, one row after another."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet

from covey._arrays import l2_normalize
from covey.cluster._subspace import code_affinity, elastic_net, matching_pursuit


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    mixed = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 16)) + 0.3 * rng.normal(size=(60, 16))
    return l2_normalize(mixed.astype(np.float32))


def objective(X: np.ndarray, i: int, c: np.ndarray, gamma: float, tau: float) -> float:
    lam = np.abs(np.delete(X, i, axis=0) @ X[i]).max() / (tau * gamma)
    residual = X[i] - c @ X
    return float(tau * np.abs(c).sum() + (1 - tau) / 2 * c @ c + residual @ residual / (2 * lam))


def naive_elastic_net(X: np.ndarray, i: int, gamma: float, tau: float) -> np.ndarray:
    others = np.delete(np.arange(len(X)), i)
    lam = np.abs(X[others] @ X[i]).max() / (tau * gamma)
    net = ElasticNet(lam / X.shape[1], l1_ratio=tau, fit_intercept=False, tol=1e-9, max_iter=10**6)
    code = np.zeros(len(X))
    code[others] = net.fit(X[others].T, X[i]).coef_
    return code


def naive_pursuit(X: np.ndarray, i: int, n_nonzero: int, tol: float) -> np.ndarray:
    code, support, residual = np.zeros(len(X)), [], X[i]
    while len(support) < n_nonzero and residual @ residual > tol:
        scores = np.abs(X @ residual)
        scores[[i, *support]] = -1
        support.append(int(scores.argmax()))
        solution = np.linalg.lstsq(X[support].T, X[i], rcond=None)[0]
        residual = X[i] - solution @ X[support]
    if support:
        code[support] = solution
    return code


@pytest.mark.parametrize(("gamma", "tau"), [(3, 0.9), (30, 0.9), (30, 0.5), (10, 1.0)])
def test_elastic_net_is_optimal(rows: np.ndarray, gamma: float, tau: float) -> None:
    codes = elastic_net(torch.from_numpy(rows), gamma=gamma, tau=tau, tol=1e-3, n_candidates=8)
    found, X = codes.to_sparse().toarray(), rows.astype(np.float64)
    assert (np.diag(found) == 0).all()
    assert codes.residuals.max() <= 1e-3
    for i in range(0, 60, 6):
        expected = naive_elastic_net(X, i, gamma, tau)
        least = objective(X, i, expected, gamma, tau)
        assert objective(X, i, found[i], gamma, tau) <= least * (1 + 1e-5) + 1e-9
        np.testing.assert_allclose(found[i], expected, atol=5e-3)


@pytest.mark.parametrize(("gamma", "tau"), [(5, 0.9), (20, 1.0)])
def test_the_certificate_is_the_violation_over_all_rows(rows: np.ndarray, gamma: float, tau: float) -> None:
    codes = elastic_net(torch.from_numpy(rows), gamma=gamma, tau=tau, tol=1e-2, n_candidates=5)
    found, X = codes.to_sparse().toarray(), rows.astype(np.float64)
    for i in range(60):
        others = np.delete(np.arange(60), i)
        c = found[i, others]
        weight = tau * gamma / np.abs(X[others] @ X[i]).max()
        pull = weight * X[others] @ (X[i] - c @ X[others]) - (1 - tau) * c
        violation = np.where(c != 0, np.abs(pull - tau * np.sign(c)), np.maximum(np.abs(pull) - tau, 0)).max() / tau
        assert violation == pytest.approx(float(codes.residuals[i]), abs=2e-4)
        assert violation < 1e-2 + 2e-4


@pytest.mark.parametrize(("n_nonzero", "tol"), [(1, 0.0), (4, 1e-6), (20, 1e-6), (4, 0.2)])
def test_pursuit_is_greedy(rows: np.ndarray, n_nonzero: int, tol: float) -> None:
    codes = matching_pursuit(torch.from_numpy(rows), n_nonzero=n_nonzero, tol=tol)
    found, X = codes.to_sparse().toarray(), rows.astype(np.float64)
    for i in range(60):
        expected = naive_pursuit(X, i, n_nonzero, tol)
        np.testing.assert_allclose(found[i], expected, atol=1e-4)
        assert float(codes.residuals[i]) == pytest.approx(((X[i] - expected @ X) ** 2).sum(), abs=1e-5)


@pytest.mark.parametrize("kind", ["symmetric", "neighbors"])
def test_affinity_is_its_formula(rows: np.ndarray, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.cluster._subspace._codes._BLOCK_ROWS", 17)
    codes = matching_pursuit(torch.from_numpy(rows), n_nonzero=4, tol=1e-6).to_sparse()
    dense = codes.toarray()
    unit = dense / np.linalg.norm(dense, axis=1, keepdims=True)
    directed = np.abs(unit)
    if kind == "neighbors":
        products = unit @ unit.T
        np.fill_diagonal(products, 0)
        directed = np.zeros_like(products)
        for i, row in enumerate(products):
            nearest = np.argsort(-row, kind="stable")[:3]
            directed[i, nearest[row[nearest] > 0]] = 1
    np.testing.assert_allclose(code_affinity(codes, kind=kind).toarray(), (directed + directed.T) / 2, atol=1e-12)
