"""Fewer dimensions: principal components of unit rows, for methods that lose their way in a thousand."""

import numpy as np
import sklearn.decomposition
from numpy.typing import NDArray


def principal_components(rows: NDArray[np.float64], n_dimensions: int | None) -> sklearn.decomposition.PCA:
    """Fit the first principal components.

    Parameters
    ----------
    rows : ndarray of shape (n, d), dtype float64
        At least 2 rows.
    n_dimensions : int or None
        How many; at most d and n - 1 are used. None takes all of these.

    Returns
    -------
    pca : PCA
        Its `transform` keeps lengths within the components. Exact, so it needs no seed.
    """
    n, d = rows.shape
    n_kept = min(n_dimensions or d, d, n - 1)
    solver = "covariance_eigh" if n >= d else "full"
    with np.errstate(invalid="ignore"):  # the shares of a variance of zero
        return sklearn.decomposition.PCA(n_kept, svd_solver=solver).fit(rows)
