"""EnSC: elastic net subspace clustering; each row is written by few others, and who writes whom is partitioned.

`elastic_net` finds the codes of all rows, by blocks, each with a certificate of optimality: a row needs few others, so
a small problem is solved among the rows that correlate most, and its optimality is then checked against all rows by one
matrix product; rows that violate it join, until none does.

References
----------
.. [1] C. You, C.-G. Li, D. P. Robinson and R. Vidal, "Oracle based active set algorithm for scalable elastic net
   subspace clustering", CVPR 2016, arXiv:1605.02633.
"""

from collections.abc import Iterator, Mapping
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
from covey.cluster._subspace._codes import AffinityKind, Atoms, Codes, Strongest, block_height, code_affinity
from covey.types import FloatArray, Progress

_MAX_ROUNDS = 40
_N_COMPARED = 8  # rows for the largest correlation, where products are rounded
_N_OUTSIDE = 32  # rows from outside the candidates that may join in a round
_MAX_ITERATIONS = 12
"""Most iterations on a small problem in a round; one that needs more goes on in the next, with better candidates."""
_GREEDY_UPDATES = 24
"""Least updates of one coordinate before a Newton step; with more candidates than twice as many, half of them."""
_INNER = 0.5  # of the tolerance, for the small problems
_RIDGE = 1e-5  # of the curvature, where the others give none

# The authors' script for MNIST (ChongYou/subspace-clustering at 55e330e): scattering features, PCA to 500 dimensions.
ENSC_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"official-mnist": {"gamma": 200.0, "tau": 0.9, "n_candidates": 100, "affinity": "neighbors", "n_init": 20}}
)
"""Keywords of EnSC's constructor by the name of their source."""


class _Net(NamedTuple):
    """The problem: min_c tau |c|_1 + (1 - tau)/2 |c|² + weight/2 |x - c A|², and the tolerance."""

    gamma: float
    tau: float
    tol: float  # relative to tau


class _Open(NamedTuple):
    """Rows whose codes are not optimal yet, (r,), their candidates (r, m), and the codes among these."""

    rows: Tensor
    weight: Tensor
    indices: Tensor
    c: Tensor

    def of(self, rows: Any) -> Self:
        """Keep some of the rows, by numbers, a mask or a slice."""
        return type(self)(*(part[rows] for part in self))


class _Checked(NamedTuple):
    """How codes (r,) meet the conditions: at their m candidates, and at the w strongest rows outside."""

    block: _Open
    pull: Tensor  # (r, m), |<residual, x_j>| / lam
    outside: Tensor  # (r, w)
    outside_pull: Tensor  # (r, w)
    violation: Tensor  # (r,), relative to tau, over all rows

    def of(self, rows: Tensor) -> Self:
        """Keep some of the rows, by a mask."""
        return type(self)(self.block.of(rows), *(part[rows] for part in self[1:]))


@parameters
class EnSC(GraphClusterer):
    """Cluster features by writing each row through few others, with an elastic net.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    gamma : float, default=10.0
        Weight of the residual, in units of the weight at which a code becomes zero. Larger uses more rows and costs
        more; at most 1 leaves nothing.
    tau : float in (0, 1], default=0.9
        Share of the absolute values in the penalty; the rest are squares, which join similar rows.
    affinity : {"symmetric", "neighbors"}, default="symmetric"
        How codes become a graph: the coefficients themselves, or the three rows with the most similar codes.
    tol : float, default=1e-3
        Largest violation of the optimality conditions, relative to `tau`.
    n_candidates : int, default=50
        How many of the most correlated rows are tried first. Decides the time, not the result.
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
        JSON-compatible: ``max_violation`` of the optimality conditions, over all codes and all rows; ``n_uncertified``,
        codes above `tol`; ``mean_code_size``; ``n_empty_codes``; and those of `SpectralClustering`.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SSCOMP : Greedy, and quicker.
    SpectralClustering : A graph of neighbors instead.

    Notes
    -----
    The method of You et al. (2016) with the scaling of their code. Rows are scaled to unit length. Every code is
    certified against all rows, so it depends neither on `n_candidates` nor on the block; see `elastic_net` for the
    equations. Departs from the authors' code: all coefficients of a code are kept, where it keeps the 50 largest;
    tolerances are for float32. O(n² d) time, a few products (n, d) x (d, n) in all; memory O(n n_candidates) and a
    fixed workspace. It warns if the graph of codes falls into more parts than clusters, and raises `ConvergenceError`
    if all codes are zero, as with gamma = 1.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import EnSC
    >>> rng = np.random.default_rng(0)
    >>> planes = rng.normal(size=(2, 2, 20))
    >>> X = np.concatenate([rng.normal(size=(40, 2)) @ plane for plane in planes])
    >>> labels = EnSC(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = ENSC_PRESETS
    _if_apart: ClassVar = "Raise gamma, or lower tau."

    n_clusters: int = integer(8)
    _: KW_ONLY
    gamma: float = real(10.0, above=0.0)
    tau: float = real(0.9, above=0.0, high=1.0)
    affinity: AffinityKind = choice("symmetric", ("symmetric", "neighbors"))
    tol: float = real(1e-3, above=0.0)
    n_candidates: int = integer(50)
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
        # Codes C (n, n), row by row: eq. 2.
        tensor = to_tensor(rows, resolve_float64_device(self.device))
        codes = elastic_net(
            tensor,
            gamma=self.gamma,
            tau=self.tau,
            tol=self.tol,
            n_candidates=self.n_candidates,
            progress=progress,
        )
        self.codes_ = codes.to_sparse()
        sizes = np.diff(self.codes_.indptr)
        # Affinity of who writes whom, and its spectral partition.
        self._keep_partition(
            rows,
            code_affinity(self.codes_, kind=self.affinity),
            max_violation=float(codes.residuals.max()),
            n_uncertified=int((codes.residuals > self.tol).sum()),
            mean_code_size=float(sizes.mean()),
            n_empty_codes=int((sizes == 0).sum()),
        )


def elastic_net(
    X: Tensor,
    *,
    gamma: float,
    tau: float,
    tol: float,
    n_candidates: int,
    precision: str = "auto",
    progress: Progress | None = None,
) -> Codes:
    """Write each row by other rows with the smallest elastic-net objective.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Unit rows, or zero ones.
    gamma : float
        Weight of the residual, in units of the weight below which the code is zero.
    tau : float in (0, 1]
        Share of the absolute values in the penalty.
    tol : float
        Largest violation of the optimality conditions, relative to `tau`.
    n_candidates : int
        How many of the most correlated rows are tried first.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products with all rows. What a rounded product leaves open is decided in float32 in any case.
    progress : Progress, default=None
        Called after each round with "codes", the rows whose codes are done and their number.

    Returns
    -------
    codes : Codes
        Coefficients; the residuals bound the violations over *all* rows, relative to `tau`. One above `tol` belongs to
        a row that float32 or 40 rounds could not bring there.

    Notes
    -----
    For row x the code minimizes tau |c|_1 + (1 - tau)/2 |c|² + 1/(2 lam) |x - c X|² without x itself, where
    lam = max_j |<x_j, x>| / (tau gamma): eq. 2 of You, Li, Robinson and Vidal, "Oracle based active set algorithm for
    scalable elastic net subspace clustering", CVPR 2016, with the scaling of the authors' code. The conditions are
    <r, x_j> / lam - (1 - tau) c_j = tau sign(c_j) where c_j is not zero, and |<r, x_j>| / lam <= tau elsewhere.
    Two products (block, d) x (d, n) at the least, O(n² d) time in all; memory O(n n_candidates) for the open codes and
    O(block x n) for a block, which is chosen to stay within a fixed workspace.
    """
    # Round 0: codes of zero among the most correlated rows of each row.
    net, n_first = _Net(gamma, tau, tol), min(n_candidates, len(X) - 1)
    rows, atoms = torch.arange(len(X), device=X.device), Atoms.prepare(X, precision=precision)
    open_ = _join([_start(atoms, rows[chunk], net, n_first) for chunk in _iter_blocks(X, len(X), n_first)])
    closed: list[tuple[Tensor, Codes]] = []
    for round_ in range(_MAX_ROUNDS):
        # Solve among the candidates and check the optimality conditions against all rows.
        checked = [_solve_and_check(atoms, open_.of(c), net) for c in _iter_blocks(X, *open_.indices.shape)]
        # Codes that meet them are done; the others get the rows that violate them most as candidates.
        n_wanted = 2 * max(int((part.block.c != 0).sum(dim=1).max()) for part in checked) + _N_OUTSIDE
        still_open = []
        for part in checked:
            is_done = (part.violation <= tol) | (round_ + 1 == _MAX_ROUNDS)
            done = part.block.of(is_done)
            closed.append((done.rows, Codes(done.indices, done.c, part.violation[is_done])))
            still_open.append(_next_candidates(part.of(~is_done), n_wanted))
        open_ = _join(still_open)
        if progress is not None:
            progress("codes", len(X) - len(open_.rows), len(X))
        if not len(open_.rows):
            break
    return Codes.stack([codes for _, codes in closed]).of(torch.cat([rows for rows, _ in closed]).argsort())


def _iter_blocks(X: Tensor, n_rows: int, n_candidates: int) -> Iterator[slice]:
    """Yield blocks of `n_rows` rows, small enough for their candidates, Gram matrices and products with `X`."""
    height = block_height(len(X), n_candidates * max(X.shape[1], n_candidates), X.device.type)
    return iter_chunks(n_rows, height)


def _join(blocks: list[_Open]) -> _Open:
    return _Open(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def _start(atoms: Atoms, rows: Tensor, net: _Net, n_candidates: int) -> _Open:
    """Begin with codes of zero; the candidates are the rows that correlate most with each."""
    own = atoms.rows[rows]
    near = atoms.strongest(own, rows[:, None], n_candidates)
    # max_j |<x_j, x>|, (b,), exact also where products are rounded: lam depends on it.
    largest = near.sizes[:, 0]
    if bool(near.margin.any()):
        n_compared = min(_N_COMPARED, n_candidates)
        largest = atoms.correlate(own, near.indices[:, :n_compared]).abs().amax(dim=1)
        is_open = largest < near.sizes[:, n_compared - 1] + near.margin
        if is_open.any():
            largest[is_open] = atoms.strongest(own[is_open], rows[is_open, None], 1, exact=True).sizes[:, 0]
    # 1 / lam = tau gamma / max_j |<x_j, x>|, (b,).
    weight = torch.where(largest > 0, net.gamma * net.tau / largest, 0)
    return _Open(rows, weight, near.indices, torch.zeros_like(near.sizes))


def _solve_and_check(atoms: Atoms, block: _Open, net: _Net) -> _Checked:
    """Improve the codes of a block among its candidates, and look for the rows outside that pull most."""
    own, inside = atoms.rows[block.rows], atoms.take(block.indices)
    # Gram matrix (b, m, m) and target (b, m) of the small problem, both times 1 / lam.
    gram = (inside @ inside.mT).mul_(block.weight[:, None, None])
    target = (inside @ own[..., None])[..., 0] * block.weight[:, None]
    block = block._replace(c=_solve_small(gram, target, block.c, net))
    # Conditions at the candidates: <r, x_j> / lam - (1 - tau) c_j against tau sign(c_j), (b, m).
    residual = own - (block.c[:, None] @ inside)[:, 0]
    pull = (inside @ residual[..., None])[..., 0] * block.weight[:, None]
    violation = _violations(pull, block.c, net.tau).amax(dim=1).clamp(min=0) / net.tau
    # Conditions elsewhere: |<r, x_j>| / lam <= tau.
    outside = _strongest_outside(atoms, block, residual, net.tau * (1 + net.tol))
    if outside.indices.shape[1]:
        strongest = torch.maximum(outside.sizes[:, 0], outside.ceiling) * block.weight
        violation = torch.maximum(violation, strongest / net.tau - 1)
    return _Checked(block, pull.abs(), outside.indices, outside.sizes * block.weight[:, None], violation)


def _strongest_outside(atoms: Atoms, block: _Open, residual: Tensor, limit: float) -> Strongest:
    """Find the rows outside the candidates with the largest |<r, x_j>|, exact wherever that decides about the limit."""
    excluded = torch.cat([block.rows[:, None], block.indices], dim=1)
    n_wanted = min(_N_OUTSIDE, len(atoms.rows) - excluded.shape[1])
    if not n_wanted:
        return Strongest(block.indices[:, :0], residual[:, :0], block.weight)
    found = atoms.strongest(residual, excluded, n_wanted)
    if not bool(found.margin.any()):
        return found
    ceiling = found.ceiling
    sizes, order = atoms.correlate(residual, found.indices).abs().sort(dim=1, descending=True)
    indices = found.indices.gather(1, order)
    is_open = (sizes[:, 0] * block.weight <= limit) & (ceiling * block.weight > limit)
    if is_open.any():
        exact = atoms.strongest(residual[is_open], excluded[is_open], n_wanted, exact=True)
        indices[is_open], sizes[is_open], ceiling[is_open] = exact.indices, exact.sizes, exact.ceiling
    return Strongest(indices, sizes, ceiling - sizes[:, -1])


def _next_candidates(part: _Checked, n_candidates: int) -> _Open:
    """Keep the used rows of each code as candidates, and add those that pull most."""
    block = part.block
    indices = torch.cat([block.indices, part.outside], dim=1)
    c = torch.cat([block.c, torch.zeros_like(part.outside_pull)], dim=1)
    urgency = torch.cat([part.pull, part.outside_pull], dim=1).masked_fill_(c != 0, torch.inf)
    kept = urgency.topk(min(n_candidates, indices.shape[1]), dim=1).indices
    return block._replace(indices=indices.gather(1, kept), c=c.gather(1, kept))


def _violations(pull: Tensor, c: Tensor, tau: float) -> Tensor:
    """Return by how much each coefficient (b, m) violates its optimality condition; negative if it holds."""
    return torch.where(c != 0, (pull - (1 - tau) * c - tau * c.sign()).abs(), pull.abs() - tau)


def _solve_small(gram: Tensor, target: Tensor, c: Tensor, net: _Net) -> Tensor:
    """Minimize tau |c|_1 + (1 - tau)/2 |c|² + c gram c / 2 - target c for each code, gram (b, m, m).

    Greedy coordinate descent finds the signs, and a Newton step among what is used goes to the optimum for these signs.
    Neither ever raises the objective.
    """
    c = c.clone()
    places = torch.arange(len(c), device=c.device)
    for _ in range(_MAX_ITERATIONS):
        part = _newton_step(gram, target, _greedy_descent(gram, target, c[places], net.tau), net.tau)
        c[places] = part
        pull = target - (gram @ part[..., None])[..., 0]
        is_open = _violations(pull, part, net.tau).amax(dim=1) > _INNER * net.tol * net.tau
        if not is_open.any():
            break
        if not is_open.all():
            places, gram, target = places[is_open], gram[is_open], target[is_open]
    return c


def _greedy_descent(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Minimize over the coordinate that violates its condition most, a few times, for all codes at once."""
    pull = target - (gram @ c[..., None])[..., 0]
    diagonal = gram.diagonal(dim1=1, dim2=2)
    own = torch.arange(len(c), device=c.device)
    c = c.clone()
    for _ in range(max(_GREEDY_UPDATES, c.shape[1] // 2)):
        # c_j = softshrink(<r, x_j> / lam without c_j's own part, tau) / (curvature + 1 - tau), j the worst (b,).
        j = _violations(pull, c, tau).argmax(dim=1)
        old, curvature = c[own, j], diagonal[own, j]
        new = torch.nn.functional.softshrink(pull[own, j] + curvature * old, tau)
        new /= (curvature + (1 - tau)).clamp(min=torch.finfo(c.dtype).tiny)
        c[own, j] = new
        pull -= gram[own, j] * (new - old)[:, None]
    return c


def _newton_step(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Go towards the optimum for the signs of `c` among its used coordinates.

    Either as far as all signs hold, or all the way with the coordinates that change sign put to zero, whichever is
    lower.
    """
    width = int((c != 0).sum(dim=1).max())
    if not width:
        return c
    # The problem among the used coordinates: Gram matrix (b, w, w), target and start (b, w).
    used = (c != 0).float().topk(width, dim=1).indices
    small = gram[torch.arange(len(c), device=c.device)[:, None, None], used[:, :, None], used[:, None, :]]
    wanted, start = target.gather(1, used), c.gather(1, used)
    is_used = start != 0
    # Newton step H s = -gradient for fixed signs, H = G + (1 - tau) I, by Cholesky factors.
    slope = wanted - (small @ start[..., None])[..., 0] - (1 - tau) * start - tau * start.sign()
    curvature = small * (is_used[:, :, None] & is_used[:, None, :])
    ridge = torch.where(is_used, 1 - tau + _RIDGE * small.diagonal(dim1=1, dim2=2), 1)
    curvature.diagonal(dim1=1, dim2=2).add_(ridge)
    factor, is_failed = torch.linalg.cholesky_ex(curvature)
    step = torch.cholesky_solve(torch.where(is_used, slope, 0)[..., None], factor)[..., 0]
    step = torch.where((is_failed == 0)[:, None], step, 0)
    # Where a sign would change: stop at the first such point, or put these coordinates to zero.
    crosses = is_used & ((start + step) * start <= 0)
    share = torch.where(crosses, -start / torch.where(crosses, step, 1), 1)
    first = share.amin(dim=1, keepdim=True)
    near = torch.where(crosses & (share == first), 0, start + first * step)
    far = torch.where(crosses, 0, start + step)
    is_lower = _objective(small, wanted, far, tau) < _objective(small, wanted, near, tau)
    return c.scatter(1, used, torch.where(is_lower[:, None], far, near))


def _objective(gram: Tensor, target: Tensor, c: Tensor, tau: float) -> Tensor:
    """Return the objective of codes (b, m) up to a constant of each row, shape (b,)."""
    quadratic = 0.5 * (gram @ c[..., None])[..., 0] + 0.5 * (1 - tau) * c - target
    return (quadratic * c).sum(dim=1) + tau * c.abs().sum(dim=1)
