"""Orthogonal matching pursuit of every row in all other rows, by blocks of rows."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey.cluster._subspace._codes import Codes, block_height
from covey.cluster._subspace._strongest import Atoms

_N_COMPARED = 8
"""Rows that are compared in float32 where products are rounded."""
_LEAST_CORRELATION = 1e-6
"""Below this a row is an accident of float32, not an atom that explains anything; one in the support already is."""


class _Support(NamedTuple):
    """What some rows are written by so far; all of one block have as many atoms."""

    rows: Tensor  # (b,)
    atoms: Tensor  # (b, n_nonzero, d) float64
    gram: Tensor  # (b, n_nonzero, n_nonzero) float64
    target: Tensor  # (b, n_nonzero) float64: correlations of the atoms with their row
    indices: Tensor  # (b, n_nonzero), -1 where there is none yet
    coefficients: Tensor  # (b, n_nonzero) float64
    residual: Tensor  # (b, d) float32

    @classmethod
    def start(cls, X: Tensor, rows: Tensor, n_nonzero: int) -> Self:
        """Write rows (b,) by nothing."""
        b, d = len(rows), X.shape[1]
        wide = X.new_zeros(b, n_nonzero, dtype=torch.float64)
        atoms, gram = wide.new_empty(b, n_nonzero, d), wide.new_empty(b, n_nonzero, n_nonzero)
        return cls(rows, atoms, gram, wide, torch.full_like(wide, -1, dtype=torch.int64), wide.clone(), X[rows])

    def of(self, rows: Tensor) -> Self:
        """Keep some of the rows, by a mask."""
        return self if bool(rows.all()) else type(self)(*(part[rows] for part in self))

    def join(self, chosen: Tensor, X: Tensor, step: int) -> Self:
        """Add one atom (b,) to each support and refit all coefficients."""
        atom, own = X[chosen].double(), X[self.rows].double()
        self.atoms[:, step] = atom
        self.indices[:, step] = chosen
        products = (self.atoms[:, : step + 1] @ atom[..., None])[..., 0]
        self.gram[:, step, : step + 1] = products
        self.gram[:, : step + 1, step] = products
        self.target[:, step] = (atom * own).sum(dim=1)
        fitted = torch.linalg.solve(self.gram[:, : step + 1, : step + 1], self.target[:, : step + 1])
        self.coefficients[:, : step + 1] = fitted
        written = (fitted[:, None] @ self.atoms[:, : step + 1])[:, 0]
        return self._replace(residual=(own - written).float())

    def codes(self) -> Codes:
        """Return the codes."""
        return Codes(self.indices, self.coefficients.float(), self.residual.square().sum(dim=1))


def matching_pursuit(X: Tensor, *, n_nonzero: int, tol: float, precision: str = "auto") -> Codes:
    """Write each row by a few other rows, chosen greedily.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Unit rows, or zero ones.
    n_nonzero : int
        Most other rows in a code, s; at most n - 1.
    tol : float
        A row is done when its squared residual is below this; rows are unit, so it is relative.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products that search; which row correlates most is decided in float32 in any case.

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
    height = block_height(len(X), 2 * n_nonzero * X.shape[1], X.device.type)
    rows, atoms = torch.arange(len(X), device=X.device), Atoms.prepare(X, precision=precision)
    return Codes.stack([_pursue(atoms, rows[chunk], n_nonzero, tol) for chunk in iter_chunks(len(X), height)])


def _pursue(atoms: Atoms, rows: Tensor, n_nonzero: int, tol: float) -> Codes:
    """Return the codes of some rows (b,)."""
    support, closed = _Support.start(atoms.rows, rows, n_nonzero), []
    for step in range(n_nonzero):
        is_open = support.residual.square().sum(dim=1) > tol
        closed.append(support.of(~is_open))
        support = support.of(is_open)
        if not len(support.rows):
            break
        chosen, correlation = _strongest_one(atoms, support, step)
        closed.append(support.of(correlation <= _LEAST_CORRELATION))
        support = support.of(correlation > _LEAST_CORRELATION)
        support = support.join(chosen[correlation > _LEAST_CORRELATION], atoms.rows, step)
    closed.append(support)
    order = torch.cat([part.rows for part in closed]).argsort()
    return Codes.stack([part.codes() for part in closed]).of(order)


def _strongest_one(atoms: Atoms, support: _Support, step: int) -> tuple[Tensor, Tensor]:
    """Return the row that correlates most with each residual, and by how much, both (b,)."""
    excluded = torch.cat([support.rows[:, None], support.indices[:, :step]], dim=1)
    n_wanted = min(_N_COMPARED, len(atoms.rows) - 1 - step)
    near = atoms.strongest(support.residual, excluded, n_wanted)
    if not bool(near.margin.any()):
        return near.indices[:, 0], near.sizes[:, 0]
    best, place = atoms.correlate(support.residual, near.indices).abs().max(dim=1)
    chosen = near.indices.gather(1, place[:, None])[:, 0]
    is_open = best < near.ceiling
    if is_open.any():
        exact = atoms.strongest(support.residual[is_open], excluded[is_open], 1, exact=True)
        chosen[is_open], best[is_open] = exact.indices[:, 0], exact.sizes[:, 0]
    return chosen, best
