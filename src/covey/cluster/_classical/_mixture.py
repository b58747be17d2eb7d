"""Gaussian mixtures on the principal components of unit rows."""

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
import sklearn.mixture
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import draw_seed, iter_chunks, l2_normalize
from covey.cluster._checks import (
    check_choices,
    check_integer,
    check_n_clusters,
    check_real,
    fit_features,
)
from covey.cluster._classical._reduction import principal_components
from covey.cluster._probabilities import PredictsProbabilities
from covey.cluster._training import collect_predictions, warn_if_collapsed
from covey.types import FloatArray

Covariance = Literal["full", "tied", "diagonal", "spherical"]

_CHUNK_ROWS = 4096
_THEIR_WORDS = {"diagonal": "diag"}


class GaussianMixture(PredictsProbabilities, ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features by a mixture of normal distributions.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of components, K.
    n_dimensions : int or None, default=64
        Principal components that the mixture sees; at most n_features and n_samples - 1 are used. None takes as many
        as there are.
    covariance : {"full", "tied", "diagonal", "spherical"}, default="full"
        Of a component: any, one for all components, one variance a dimension, or one variance.
    ridge : float, default=0.1
        Added to the variance of every dimension, as a share of the mean variance of a dimension. It keeps components
        of few rows from collapsing.
    normalize : bool, default=True
        Whether rows are scaled to unit length first, so that only directions count.
    n_init : int, default=1
        Restarts; the most likely mixture is kept.
    max_iter : int, default=300
        Most steps of expectation maximisation of a restart.
    tol : float, default=1e-3
        A restart ends when a step raises the mean log-likelihood of a row by less, in nats.
    random_state : int, RandomState, Generator or None, default=None
        Decides the k-means that each restart begins with.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable component of each row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    diagnostics_ : dict
        JSON-compatible: ``log_likelihood``, the mean of the rows in nats, in principal components; ``bic``, smaller is
        better; ``n_dimensions``; ``explained_variance``, the share that they keep; ``n_iter``; ``converged``; and
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy``, ``kl_to_uniform``,
        ``n_empty_clusters``.
    n_iter_ : int
        Steps of the restart that was kept.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    KMeans : The same with one small variance for all, and far quicker.

    Notes
    -----
    Expectation maximisation by scikit-learn in float64. A full covariance of d dimensions has d (d + 1) / 2 numbers to
    estimate from the rows of one cluster, so features of a thousand dimensions are reduced first. In many dimensions
    probabilities are nearly 0 or 1: they tell little. O(n K d²) time a step for d dimensions kept.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> labels = GaussianMixture(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    _if_collapsed: ClassVar = "Try another ridge, a simpler covariance, or fewer clusters."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_dimensions: int | None = 64,
        covariance: Covariance = "full",
        ridge: float = 0.1,
        normalize: bool = True,
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_dimensions = n_dimensions
        self.covariance = covariance
        self.ridge = ridge
        self.normalize = normalize
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Reduce the rows, find the mixture, and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : Ignored
            For scikit-learn's contract.

        Returns
        -------
        self : GaussianMixture
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If no restart converged, or clusters stayed empty.
        """
        X = fit_features(self, X)
        check_n_clusters(self.n_clusters, len(X))
        self._check_parameters()
        rows = self._place(X)
        rows = np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows  # a variance needs two
        reduction = principal_components(rows, self.n_dimensions)
        reduced = reduction.transform(rows)
        mixture = self._fit_mixture(reduced)
        self._reduction = reduction
        self._mixture = mixture
        self.n_iter_ = int(mixture.n_iter_)
        chunks = self._iter_probabilities(X)
        self.labels_, self.probabilities_, diagnostics = collect_predictions(chunks, len(X))
        self.diagnostics_ = {
            "log_likelihood": float(mixture.score(reduced)),
            "bic": float(mixture.bic(reduced)),
            "n_dimensions": int(reduction.n_components_),
            "explained_variance": float(np.nan_to_num(reduction.explained_variance_ratio_.sum(), nan=1.0)),
            "n_iter": self.n_iter_,
            "converged": bool(mixture.converged_),
            **diagnostics,
        }
        if not mixture.converged_:
            warnings.warn(
                f"The mixture did not converge within {self.max_iter} steps: raise max_iter, tol or ridge.",
                ConvergenceWarning,
                stacklevel=2,
            )
        warn_if_collapsed(diagnostics, self.n_clusters, advice=self._if_collapsed)
        return self

    def _check_parameters(self) -> None:
        check_choices(self.get_params(), {"covariance": ("full", "tied", "diagonal", "spherical")})
        for name in ("n_init", "max_iter"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.n_dimensions is not None:
            check_integer("n_dimensions", self.n_dimensions, minimum=1)
        for name in ("ridge", "tol"):
            check_real(name, getattr(self, name), open_low=True)

    def _place(self, X: FloatArray) -> NDArray[np.float64]:
        return (l2_normalize(X) if self.normalize else X).astype(np.float64)

    def _fit_mixture(self, reduced: NDArray[np.float64]) -> sklearn.mixture.GaussianMixture:
        """Fit reduced rows (n, n_dimensions)."""
        variance = reduced.var(axis=0).mean()
        mixture = sklearn.mixture.GaussianMixture(
            self.n_clusters,
            covariance_type=_THEIR_WORDS.get(self.covariance, self.covariance),
            reg_covar=self.ridge * variance if variance > 0 else 1.0,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=draw_seed(self.random_state),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of both the mixture and its k-means: said later
            return mixture.fit(reduced)

    def _iter_probabilities(self, X: FloatArray) -> Iterator[FloatArray]:
        """Yield the probabilities of a chunk of rows after another."""
        for chunk in iter_chunks(len(X), _CHUNK_ROWS):
            reduced = self._reduction.transform(self._place(X[chunk]))
            yield self._mixture.predict_proba(reduced).astype(np.float32)
