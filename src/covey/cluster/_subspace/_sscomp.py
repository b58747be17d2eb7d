"""SSC-OMP: sparse subspace clustering by orthogonal matching pursuit; who writes whom is partitioned.

`matching_pursuit` finds the codes of all rows, by blocks of rows.

References
----------
.. [1] C. You, D. P. Robinson and R. Vidal, "Scalable sparse subspace clustering by orthogonal matching pursuit",
   CVPR 2016, arXiv:1507.01238.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from covey._arrays import iter_chunks, l2_normalize
from covey._torch import resolve_float64_device, to_tensor
from covey.cluster._base import check_n_clusters
from covey.cluster._parameters import choice, free, integer, parameters, real
from covey.cluster._spectral import GraphClusterer
from covey.cluster._subspace._codes import AffinityKind, Atoms, Codes, block_height, code_affinity
from covey.types import FloatArray, Progress

_N_COMPARED = 8
"""Rows that are compared in float32 where products are rounded."""
_LEAST_CORRELATION = 1e-6
"""Correlations below this are rounding errors of float32, e.g. of a row that is in the support already."""

# The authors' script for MNIST (ChongYou/subspace-clustering at 55e330e): scattering features, PCA to 500 dimensions.
# Their tolerance is an absolute residual, here it is a squared one of unit rows.
SSCOMP_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"official-mnist": {"n_nonzero": 5, "tol": 1e-5, "affinity": "symmetric", "n_init": 10}}
)
"""Keywords of SSCOMP's constructor by the name of their source."""


class _Support(NamedTuple):
    """The supports of some rows so far, all of one size, and their codes."""

    rows: Tensor  # (b,)
    atoms: Tensor  # (b, n_nonzero, d) float64
    gram: Tensor  # (b, n_nonzero, n_nonzero) float64
    target: Tensor  # (b, n_nonzero) float64: correlations of the atoms with their row
    indices: Tensor  # (b, n_nonzero), -1 where there is none yet
    coefficients: Tensor  # (b, n_nonzero) float64
    residual: Tensor  # (b, d) float32

    @classmethod
    def start(cls, X: Tensor, rows: Tensor, n_nonzero: int) -> Self:
        """Begin with empty supports for rows (b,)."""
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
        # The new row of the Gram matrix, (b, step + 1).
        products = (self.atoms[:, : step + 1] @ atom[..., None])[..., 0]
        self.gram[:, step, : step + 1] = products
        self.gram[:, : step + 1, step] = products
        self.target[:, step] = (atom * own).sum(dim=1)
        # Least squares G c = A x over the support, and the residual r = x - c A.
        fitted = torch.linalg.solve(self.gram[:, : step + 1, : step + 1], self.target[:, : step + 1])
        self.coefficients[:, : step + 1] = fitted
        written = (fitted[:, None] @ self.atoms[:, : step + 1])[:, 0]
        return self._replace(residual=(own - written).float())

    def codes(self) -> Codes:
        """Return the codes."""
        return Codes(self.indices, self.coefficients.float(), self.residual.square().sum(dim=1))


@parameters
class SSCOMP(GraphClusterer):
    """Cluster features by writing each row through few others, chosen greedily.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_nonzero : int, default=10
        Most other rows in a code; at most n_samples - 1 are used.
    tol : float, default=1e-6
        A code is done when the squared length of its residual, of a row of length 1, is below this.
    affinity : {"symmetric", "neighbors"}, default="symmetric"
        How codes become a graph: the coefficients themselves, or the three rows with the most similar codes.
    n_init : int, default=10
        Restarts of k-means on the eigenvectors.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where to find the codes: ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the starts of the eigensolver and of k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    codes_ : csr_array of shape (n_samples, n_samples), dtype float64
        Row i writes row i of the unit features by the others.
    eigenvalues_ : ndarray of shape (n_clusters,), dtype float64
        Smallest eigenvalues of the normalized Laplacian, ascending; fewer if few rows have an edge.
    diagnostics_ : dict
        JSON-compatible: ``mean_squared_residual``; ``n_within_tol``, codes that reached `tol`; ``mean_code_size``;
        ``n_empty_codes``; and those of `SpectralClustering`.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    EnSC : Convex, and usually better.
    SpectralClustering : A graph of neighbors instead.

    Notes
    -----
    The method of You, Robinson and Vidal (2016). Rows are scaled to unit length. The residual's *squared* length is
    compared with `tol`, as the authors' code does, which compares it with a multiple of the row's length; their
    documentation names the length itself. Unlike theirs, no row joins a code twice, and a code ends where nothing
    correlates with its residual. O(n² d n_nonzero) time as products (block, d) x (d, n); memory O(n n_nonzero) and a
    fixed workspace. It warns if the graph of codes falls into more parts than clusters, and raises `ConvergenceError`
    if no row correlates with another.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SSCOMP
    >>> rng = np.random.default_rng(0)
    >>> spaces = rng.normal(size=(2, 4, 20))
    >>> X = np.concatenate([rng.normal(size=(40, 4)) @ space for space in spaces])
    >>> labels = SSCOMP(n_clusters=2, n_nonzero=4, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = SSCOMP_PRESETS
    _if_apart: ClassVar = "Raise n_nonzero."

    n_clusters: int = integer(8)
    _: KW_ONLY
    n_nonzero: int = integer(10)
    tol: float = real(1e-6)
    affinity: AffinityKind = choice("symmetric", ("symmetric", "neighbors"))
    n_init: int = integer(10)
    n_votes: int = integer(10)
    device: str = free("auto")
    random_state: Any = free(None)

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        rows = l2_normalize(X)
        check_n_clusters(self.n_clusters, len(rows))
        if len(rows) == 1:
            self.codes_ = csr_array((1, 1))
            self._keep_partition(rows, self.codes_)
            return
        # Codes C (n, n), row by row: algorithm 1.
        tensor = to_tensor(rows, resolve_float64_device(self.device))
        codes = matching_pursuit(tensor, n_nonzero=min(self.n_nonzero, len(rows) - 1), tol=self.tol, progress=progress)
        self.codes_ = codes.to_sparse()
        sizes = np.diff(self.codes_.indptr)
        # Affinity of who writes whom, and its spectral partition.
        self._keep_partition(
            rows,
            code_affinity(self.codes_, kind=self.affinity),
            mean_squared_residual=float(codes.residuals.mean()),
            n_within_tol=int((codes.residuals <= self.tol).sum()),
            mean_code_size=float(sizes.mean()),
            n_empty_codes=int((sizes == 0).sum()),
        )


def matching_pursuit(
    X: Tensor, *, n_nonzero: int, tol: float, precision: str = "auto", progress: Progress | None = None
) -> Codes:
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
    progress : Progress, default=None
        Called after each block with "codes", the rows whose codes are done and their number.

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
    blocks = []
    for chunk in iter_chunks(len(X), height):
        blocks.append(_pursue(atoms, rows[chunk], n_nonzero, tol))
        if progress is not None:
            progress("codes", chunk.stop, len(X))
    return Codes.stack(blocks)


def _pursue(atoms: Atoms, rows: Tensor, n_nonzero: int, tol: float) -> Codes:
    """Return the codes of some rows (b,)."""
    support, closed = _Support.start(atoms.rows, rows, n_nonzero), []
    for step in range(n_nonzero):
        # Rows whose residual is small enough are done.
        is_open = support.residual.square().sum(dim=1) > tol
        closed.append(support.of(~is_open))
        support = support.of(is_open)
        if not len(support.rows):
            break
        # j = argmax |<r, x_j>| joins the support, unless nothing correlates any more.
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
