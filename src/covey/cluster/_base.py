"""What estimators share: a `fit` that happens whole or not at all, published settings by name, probabilities."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from covey.cluster._parameters import check_integer, check_parameters
from covey.errors import UnknownNameError
from covey.types import FloatArray, IntArray, NeighborGraph, Progress


class Clusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base of the estimators: a dataclass of parameters (`covey.cluster._parameters`) with a method `_fit`.

    A subclass implements ``_fit(X, ...)``, which sets the fitted attributes. What several estimators need besides `X`
    is a keyword of a base class's `fit`; what one alone needs is a keyword of its own `fit`, which calls `_fit_whole`.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The cluster of each training row.
    n_features_in_ : int
        Width of a row.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Make an estimator with published settings.

        Parameters
        ----------
        preset : str
            A name of the method's presets; its page in the documentation lists them with their sources.
        **changes
            Parameters that differ from the preset, e.g. `n_clusters`.

        Returns
        -------
        estimator : Clusterer
            Of the class that was asked, not fitted.

        Raises
        ------
        UnknownNameError
            If there is no such preset.
        """
        if preset not in cls.presets:
            known = ", ".join(cls.presets) or "none"
            raise UnknownNameError(f"Unknown preset {preset!r} of {cls.__name__}. There are: {known}.")
        return cls(**{**cls.presets[preset], **changes})

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> Self:
        """Cluster the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features as the backbone gave them.
        y : Ignored
            See the glossary.
        progress : Progress, default=None
            Called with the name of a stage, the steps done and their number.

        Returns
        -------
        self : Clusterer
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        TypeError, ValueError
            If a parameter or `X` is not allowed; the message says what is.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        return self._fit_whole(X, progress=progress)

    def _fit_whole(self, X: Any, **keywords: Any) -> Self:
        """Check the parameters and the rows, then fit; a failure leaves the estimator as it was."""
        with restored_on_failure(self):
            rows = self._check_rows(X)
            check_parameters(self)
            self._fit(rows, **keywords)
        return self

    def _check_rows(self, X: Any) -> Any:
        """Validate what `fit` got; an estimator on images overrides it."""
        return fit_features(self, X)

    def _fit(self, X: Any, *_: Any, **keywords: Any) -> None:
        """Set the fitted attributes from checked rows."""
        raise TypeError(f"{type(self).__name__} has no _fit.")


class NeighborClusterer(Clusterer):
    """Base of the estimators that a graph of neighbors may be given to."""

    def fit(
        self, X: Any, y: Any = None, *, neighbors: NeighborGraph | None = None, progress: Progress | None = None
    ) -> Self:
        """Cluster the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features as the backbone gave them.
        y : Ignored
            See the glossary.
        neighbors : NeighborGraph, default=None
            Neighbors of the rows of `X`, if they are known already; None searches them.
        progress : Progress, default=None
            Called with the name of a stage, the steps done and their number.

        Returns
        -------
        self : Clusterer
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        TypeError, ValueError
            If a parameter or `X` is not allowed, or `neighbors` describes other rows; the message says what is.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        return self._fit_whole(X, neighbors=neighbors, progress=progress)


class ProbabilisticClusterer(Clusterer):
    """Base of the estimators with `_iter_probabilities`, which predict the probability of each cluster.

    Attributes
    ----------
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Of the training rows, which sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows
        you need.
    """

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each cluster.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        probabilities : ndarray of shape (n, n_clusters), dtype float32
            Rows sum to 1. Computed in float64, so a row's result does not depend on the rows beside it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return np.concatenate([*self._iter_probabilities(predict_features(self, X))])

    def predict(self, X: Any) -> IntArray:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters); for the training rows the same as `labels_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return np.concatenate([p.argmax(axis=1) for p in self._iter_probabilities(predict_features(self, X))])

    def _iter_probabilities(self, X: FloatArray) -> Iterator[FloatArray]:
        """Yield the probabilities (rows, n_clusters) of checked rows, a chunk of rows at a time."""
        raise TypeError(f"{type(self).__name__} has no _iter_probabilities.")


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Give an estimator all its attributes back if the block fails, an interruption included."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def fit_features(estimator: Any, X: Any) -> FloatArray:
    """Validate what `fit` got and remember its width; float64 becomes float32, row i stays row i."""
    return _as_float32(estimator, X, reset=True)


def predict_features(estimator: Any, X: Any) -> FloatArray:
    """Validate what `predict` or `transform` got against what `fit` saw; the estimator must be fitted."""
    check_is_fitted(estimator)
    return _as_float32(estimator, X, reset=False)


def _as_float32(estimator: Any, X: Any, *, reset: bool) -> FloatArray:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the validation reports
        array: FloatArray = validate_data(estimator, X, reset=reset, dtype=np.float32, order="C", copy=False)
    return array


def check_n_clusters(n_clusters: Any, n_samples: int) -> int:
    """Return a number of clusters that `n_samples` rows can fill."""
    n_wanted = check_integer("n_clusters", n_clusters, minimum=1)
    if n_wanted > n_samples:
        raise ValueError(
            f"n_clusters is {n_wanted}, but X has only {n_samples} rows (n_samples={n_samples}); "
            f"ask for at most {n_samples} clusters."
        )
    return n_wanted
