"""The coding length of CPP (eqs. 5 and 7): how many nats it takes to code rows group by group, and their groups.

More groups make the rows cheaper and the labels dearer, so the shortest length names a number of groups without
labels. `coding_length` writes down the rows that the groups were made of; `gaussian_code_lengths` rows that the groups
have not seen. All log-determinants are by Cholesky in float64.

References
----------
.. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR 2024,
   arXiv:2306.05272.
.. [2] Ma, Derksen, Hong and Wright, "Segmentation of Multivariate Mixed Data via Lossy Data Coding and Compression",
   IEEE TPAMI, 2007.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covey.errors import ConvergenceError


class CodingLength(NamedTuple):
    """Coding lengths, in nats.

    Attributes
    ----------
    rows : float
        The rows, group by group.
    means : float
        The groups' means; 0 if they were not taken off.
    labels : float
        Which group each row is in.
    """

    rows: float
    means: float
    labels: float

    @property
    def total(self) -> float:
        """Return the sum."""
        return self.rows + self.means + self.labels


def coding_length(Z: Tensor, labels: Tensor, *, eps_squared: float = 0.1, has_means: bool = False) -> CodingLength:
    """Compute the length of rows that are coded cluster by cluster.

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        Representation, one sample a row; computed with in float64.
    labels : Tensor of shape (n,), integer
        Cluster of each row, not negative; a number that no row has costs nothing.
    eps_squared : float, default=0.1
        Squared distortion ε² of a row.
    has_means : bool, default=False
        Whether a cluster is a subspace moved to its mean, which is then coded too; else it is a subspace through 0, as
        those of CPP are.

    Returns
    -------
    length : CodingLength
        In nats, for all rows together.

    Raises
    ------
    ValueError
        If the shapes do not fit, a label is negative, or `eps_squared` is not positive.
    ConvergenceError
        If a log-determinant has no value: `Z` holds NaN or infinity.

    Notes
    -----
    Eqs. 5 and 7 of CPP's paper in natural logarithms, with n_i rows Z_i in cluster i:
    Σ_i (n_i + d) R(Z_i) + n_i (-log(n_i / n)), where R(Z_i) = 1/2 log det(I + d / (n_i ε²) Z_iᵀ Z_i). With means,
    Z_i is centered and d/2 log(1 + |μ_i|² / ε²) is added, as in Ma et al.

    Departs from the paper: R has the 1/2 of Ma et al. and of the authors' code, without which rows would count twice as
    much beside the labels, and the minimum would lie elsewhere. The determinant is of the smaller side,
    min(n_i, d): O(n d min(n_i, d)) time.

    Examples
    --------
    >>> together = coding_length(torch.eye(2), torch.tensor([0, 0]), eps_squared=0.5)
    >>> apart = coding_length(torch.eye(2), torch.tensor([0, 1]), eps_squared=0.5)
    >>> round(together.total, 3), round(apart.rows, 3), round(apart.labels, 3)  # 4 log 3, 3 log 5 and 2 log 2
    (4.394, 4.828, 1.386)
    """
    if Z.ndim != 2 or labels.shape != Z.shape[:1] or 0 in Z.shape:
        raise ValueError(
            f"Z has shape {tuple(Z.shape)} and labels {tuple(labels.shape)}; they must be (n, d) and (n,) with the "
            "same n, at least 1."
        )
    if not eps_squared > 0:
        raise ValueError(f"eps_squared is {eps_squared}; it must be larger than 0.")
    if int(labels.min()) < 0:
        raise ValueError(f"labels holds {int(labels.min())}; a coding length is of clusters from 0: leave noise out.")
    n, d = Z.shape
    order = torch.argsort(labels, stable=True)
    sizes = torch.bincount(labels)
    parts = torch.split(Z[order].double(), sizes[sizes > 0].tolist())
    rows = means = codes = 0.0
    for part in parts:  # Z_i, (n_i, d): the rows of one cluster
        n_i = len(part)
        if has_means:
            mean = part.mean(dim=0)
            part = part - mean  # noqa: PLW2901 - the equation's Z_i, from here on centered
            means += d / 2 * math.log1p(float(mean @ mean) / eps_squared)
        # Eq. 7: (n_i + d) R(Z_i) - n_i log(n_i / n), with L of eq. 5.
        rows += (n_i + d) / 2 * _log_det(part, d / (n_i * eps_squared))
        codes -= n_i * math.log(n_i / n)
    return CodingLength(rows, means, codes)


def gaussian_code_lengths(
    Z: Tensor, means: Tensor, covariances: Tensor, labels: Tensor, *, eps_squared: float
) -> Tensor:
    """Compute what it takes to write down each row with the Gaussian of its cluster, which was found on other rows.

    Parameters
    ----------
    Z : Tensor of shape (n, d), dtype float64
        Rows.
    means : Tensor of shape (k, d), dtype float64
        Means of the clusters.
    covariances : Tensor of shape (k, d, d), dtype float64
        Their covariances, symmetric and without negative eigenvalues.
    labels : Tensor of shape (n,), dtype int64
        Whose Gaussian writes each row down.
    eps_squared : float
        Squared distortion ε² of a row.

    Returns
    -------
    lengths : Tensor of shape (n,), dtype float64
        In nats; not negative.

    Raises
    ------
    ConvergenceError
        If a covariance has no Cholesky factor.

    Notes
    -----
    A row that may be off by ε² in all, s = ε² / d in each direction, is a draw of N(z, s I). Whoever holds
    N(μ, Σ + s I) can be sent one in KL(N(z, s I) || N(μ, Σ + s I)) nats:
    1/2 [log det(I + Σ/s) + s tr (Σ + s I)⁻¹ + (z - μ)ᵀ (Σ + s I)⁻¹ (z - μ) - d]. Averaged over the rows of which μ
    and Σ are mean and covariance, it is the coding rate 1/2 log det(I + d/ε² Σ) exactly; of other rows it tells how
    well what was learned carries over. Ours; Ma et al. code the rows that the groups were made of. O(k d³ + n d²) time.
    """
    d = Z.shape[1]
    noise = eps_squared / d
    noisy = covariances.clone()
    noisy.diagonal(dim1=1, dim2=2).add_(noise)
    factors = _factorize(noisy)
    inverses = torch.cholesky_inverse(factors)
    log_dets = 2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1) - d * math.log(noise)
    constants = log_dets + noise * inverses.diagonal(dim1=1, dim2=2).sum(dim=1) - d  # (k,)
    lengths = Z.new_empty(len(Z))
    for label in torch.nonzero(torch.bincount(labels))[:, 0].tolist():
        chosen = labels == label
        off = Z[chosen] - means[label]
        lengths[chosen] = (constants[label] + ((off @ inverses[label]) * off).sum(dim=1)) / 2
    return lengths


def _log_det(Z: Tensor, gain: float) -> float:
    """Return log det(I + gain ZᵀZ), from the smaller of ZᵀZ and ZZᵀ."""
    gram = Z @ Z.T if len(Z) < Z.shape[1] else Z.T @ Z
    gram *= gain
    gram.diagonal().add_(1.0)
    return 2 * float(_factorize(gram).diagonal().log().sum())


def _factorize(matrices: Tensor) -> Tensor:
    """Return the Cholesky factors of symmetric matrices (..., d, d)."""
    factors: Tensor
    factors, info = torch.linalg.cholesky_ex(matrices)
    if bool(info.any()) or not bool(factors.isfinite().all()):
        raise ConvergenceError(
            "A coding length has no value: the rows hold NaN or infinity, or numbers too large to square. Scale rows "
            "to unit length."
        )
    return factors
