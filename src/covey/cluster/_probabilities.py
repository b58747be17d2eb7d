"""Predictions of every estimator that gives each row a probability of each cluster."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from covey.cluster._checks import predict_features
from covey.types import FloatArray, IntArray


class _GivesProbabilities(Protocol):
    def _iter_probabilities(self, X: FloatArray) -> Iterator[FloatArray]:
        """Yield the probabilities (rows, n_clusters) of a chunk of checked rows after another."""


class PredictsProbabilities:
    """Mixin for estimators with `_iter_probabilities`, the probabilities of a chunk of checked rows after another."""

    def predict_proba(self: _GivesProbabilities, X: Any) -> FloatArray:
        """Give the probabilities of each cluster.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        probabilities : ndarray of shape (n, n_clusters), dtype float32
            Rows sum to 1. Computed in float64, so a row's answer does not depend on the rows beside it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return np.concatenate([*self._iter_probabilities(predict_features(self, X))])

    def predict(self: _GivesProbabilities, X: Any) -> IntArray:
        """Label rows.

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
