"""What rows go through before distances are measured: standard scores, principal components, unit length."""

from typing import Any, NamedTuple

import numpy as np
import sklearn.decomposition
from numpy.typing import NDArray

from covey._arrays import iter_chunks, l2_normalize
from covey.types import FloatArray

_CHUNK_ROWS = 4096


class Preparation(NamedTuple):
    """What was learned from the rows of `fit`, to treat other rows alike.

    Attributes
    ----------
    mean, scale : ndarray of shape (d,) or (), dtype float64
        What is subtracted from each feature, and what it is then divided by; 0 and 1 if rows are not standardized. A
        constant feature has scale 1.
    components : PCA or None
        Principal components of the (standardized) rows. None: all features stay.
    is_unit : bool
        Whether rows are scaled to unit length at the end.
    has_scores : bool
        Whether there is anything to do before that.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: Any
    is_unit: bool
    has_scores: bool

    @classmethod
    def fit(cls, X: FloatArray, *, standardize: bool, n_components: int | None, is_unit: bool) -> "Preparation":
        """Learn from rows (n, d), float32."""
        mean, scale, components = np.zeros(()), np.ones(()), None
        if standardize:
            mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
            # A constant feature has a deviation of rounding errors, or of 0: it stays as it is, about 0.
            scale = np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)
        if n_components is not None and len(X) > 1:
            components = principal_components((X - mean) / scale, n_components)
        return cls(mean, scale, components, is_unit, standardize or components is not None)

    def apply(self, X: FloatArray) -> FloatArray:
        """Return prepared rows (n, d or n_components), float32; those of `X` itself if there is nothing to do."""
        if self.has_scores:
            # In float64, so that what becomes of a row does not depend on the rows beside it.
            X = np.concatenate([self._scores(X[chunk]) for chunk in iter_chunks(len(X), _CHUNK_ROWS)])
        return l2_normalize(X) if self.is_unit else X

    def _scores(self, X: FloatArray) -> FloatArray:
        """Return the standard scores (x - mean) / scale of some rows, in principal components if these were fitted."""
        scores = (X - self.mean) / self.scale
        if self.components is not None:
            scores = self.components.transform(scores)
        return np.asarray(scores, dtype=np.float32)


def principal_components(rows: NDArray[np.float64], n_components: int | None) -> sklearn.decomposition.PCA:
    """Fit the first principal components.

    Parameters
    ----------
    rows : ndarray of shape (n, d), dtype float64
        At least 2 rows.
    n_components : int or None
        How many; at most d and n - 1 are used. None takes all of these.

    Returns
    -------
    pca : PCA
        Its `transform` keeps lengths within the components. Exact, so it needs no seed.
    """
    n, d = rows.shape
    n_kept = min(n_components or d, d, n - 1)
    solver = "covariance_eigh" if n >= d else "full"
    with np.errstate(invalid="ignore"):  # the shares of a variance of zero
        return sklearn.decomposition.PCA(n_kept, svd_solver=solver).fit(rows)
