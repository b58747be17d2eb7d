"""Orthogonal matching pursuit of every row in all other rows, by blocks of rows."""

from typing import NamedTuple

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.cluster._subspace._codes import Codes, block_height

_LEAST_CORRELATION = 1e-6
"""Below this a row is an accident of float32, not an atom that explains anything; one in the support already is."""


class _Support(NamedTuple):
    """What a block of rows is written by so far."""

    atoms: Tensor  # (b, n_nonzero, d) float32
    gram: Tensor  # (b, n_nonzero, n_nonzero) float64
    target: Tensor  # (b, n_nonzero, 1) float64: correlations of the atoms with their row
    indices: Tensor  # (b, n_nonzero), -1 where there is none


def matching_pursuit(X: Tensor, *, n_nonzero: int, tol: float) -> Codes:
    """Write each row by a few other rows, chosen greedily.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Unit rows, or zero ones.
    n_nonzero : int
        Most other rows in a code, s; at most n - 1.
    tol : float
        A row is done when its squared residual is below this; rows are unit, so it is relative.

    Returns
    -------
    codes : Codes
        Coefficients; the residuals are squared norms.

    Notes
    -----
    In step t the row with the largest |<r, x_j>| joins the support, and least squares, from a Gram matrix in float64,
    refits all coefficients. The residual is orthogonal to the support, so no row joins twice but by rounding: rows of
    the support are left out of the search, and a row is done when nothing correlates with its residual any more.
    O(n² d s) time; memory O(block x n), the block being chosen so that it stays within a fixed workspace.
    """
    height = block_height(len(X), n_nonzero * X.shape[1], X.device.type)
    rows = torch.arange(len(X), device=X.device)
    return Codes.stack([_pursue(X, rows[chunk], n_nonzero, tol) for chunk in iter_chunks(len(X), height)])


def _pursue(X: Tensor, rows: Tensor, n_nonzero: int, tol: float) -> Codes:
    """Return the codes of some rows (b,)."""
    b, d = len(rows), X.shape[1]
    support = _Support(
        X.new_zeros(b, n_nonzero, d),
        torch.eye(n_nonzero, dtype=torch.float64, device=X.device).repeat(b, 1, 1),
        torch.zeros(b, n_nonzero, 1, dtype=torch.float64, device=X.device),
        torch.full((b, n_nonzero), -1, device=X.device),
    )
    coefficients = torch.zeros_like(support.target)
    residual = X[rows].clone()
    squared = residual.square().sum(dim=1)
    is_open = squared > tol
    for step in range(n_nonzero):
        active = torch.nonzero(is_open)[:, 0]
        if not len(active):
            break
        scores = (residual[active] @ X.T).abs_()
        scores.scatter_(1, rows[active, None], -1)
        if step:
            scores.scatter_(1, support.indices[active, :step], -1)
        best, chosen = scores.max(dim=1)
        is_open[active[best <= _LEAST_CORRELATION]] = False
        active, chosen = active[best > _LEAST_CORRELATION], chosen[best > _LEAST_CORRELATION]
        _join(support, X[rows[active]], X[chosen], active, step)
        support.indices[active, step] = chosen
        coefficients[active] = torch.linalg.solve(support.gram[active], support.target[active])
        written = (coefficients[active].mT @ support.atoms[active].double())[:, 0]
        residual[active] = (X[rows[active]].double() - written).float()
        squared[active] = residual[active].square().sum(dim=1)
        is_open &= squared > tol
    return Codes(support.indices, coefficients[..., 0].float(), squared)


def _join(support: _Support, own: Tensor, atom: Tensor, active: Tensor, step: int) -> None:
    """Add an atom to the support of each active row of the block; `own` and `atom` are (len(active), d)."""
    support.atoms[active, step] = atom
    products = (support.atoms[active, : step + 1].double() @ atom.double()[..., None])[..., 0]
    support.gram[active, step, : step + 1] = products
    support.gram[active, : step + 1, step] = products
    support.target[active, step, 0] = (atom.double() * own.double()).sum(dim=1)
