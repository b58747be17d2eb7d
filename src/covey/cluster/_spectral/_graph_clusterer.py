"""What every estimator does that partitions a sparse affinity of the rows: labels, warnings, votes."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import draw_seed
from covey.cluster._spectral._eigenvectors import spectral_partition
from covey.cluster._voting import VotingClusterer
from covey.errors import ConvergenceError
from covey.types import NOISE, FloatArray


class GraphClusterer(VotingClusterer):
    """Base of the estimators that partition a sparse affinity.

    A subclass makes the affinity in its `fit` and ends it with `_answer`; in `_if_apart` it says what ties a graph
    together. It has the parameters `n_clusters`, `n_init`, `n_votes`, `device` and `random_state`.
    """

    _if_apart: ClassVar[str]

    n_clusters: int
    n_init: int
    random_state: Any

    def _answer(self, rows: FloatArray, affinity: Any, **facts: Any) -> Self:
        """Partition the affinity of unit rows (n, d), keep the labels, and warn if the graph falls apart.

        `facts` are further diagnostics.
        """
        labels, eigenvalues, n_components = np.zeros(len(rows), dtype=np.int64), np.zeros(1), None
        n_outside = 0
        if self.n_clusters > 1:
            try:
                seed = draw_seed(self.random_state)
                labels, eigenvalues, _, n_components = spectral_partition(
                    affinity, self.n_clusters, n_init=self.n_init, seed=seed
                )
            except ConvergenceError as error:
                raise ConvergenceError(f"{error} {self._if_apart}") from error
            is_outside = labels == NOISE
            if n_outside := int(is_outside.sum()):
                labels[is_outside] = self._vote(rows[is_outside], rows[~is_outside], labels[~is_outside])
        self._keep(rows, labels)
        self.eigenvalues_ = eigenvalues
        self.diagnostics_ = {
            **facts,
            "n_components": n_components,
            "n_rows_outside": n_outside,
            "mean_degree": float(affinity.nnz / len(rows)),
        }
        if n_components is not None and n_components > self.n_clusters:
            warnings.warn(
                f"The graph falls into {n_components} parts, more than n_clusters={self.n_clusters}: the largest are "
                f"the clusters, and {n_outside} rows outside got that of the nearest rows. {self._if_apart}",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif (n_found := len(np.unique(self.labels_))) < self.n_clusters:
            warnings.warn(
                f"{n_found} clusters were found, fewer than n_clusters={self.n_clusters}: X has equal rows, which get "
                f"one label, or eigenvectors that do not tell more apart. Ask for at most {n_found}.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self
