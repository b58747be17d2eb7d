"""What speaks for a number of clusters: that they are apart, and that they are found again."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from covey.metrics import adjusted_rand_score, silhouette_score
from covey.types import FloatArray, IntArray

SHARE = 0.8
"""Of the sample, in each subsample: two of them share about two thirds of all rows."""
_SILHOUETTE_ROWS = 2500


class SubPartition(NamedTuple):
    """The labels that a clusterer gave to some rows of the sample; both of shape (n_rows,), rows sorted."""

    rows: IntArray
    labels: IntArray


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """What a criterion says of one number of clusters.

    Attributes
    ----------
    n_clusters : int
        The candidate.
    score : float
        Larger is better; comparable between candidates of the same sample.
    spread : float
        Standard deviation of the score over repeated partitions.
    details : mapping of str to float
        What the score was made of.
    """

    n_clusters: int
    score: float
    spread: float
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows on which candidates are tried.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_components), dtype float32
        Reduced rows.
    clusterer : ClusterMixin
        Cloned for each fit; takes ``n_clusters`` and, if it draws, ``random_state``.
    seed : int
        Decides subsamples and fits.
    n_repeats : int
        Partitions for each candidate, at least 2.
    """

    X: FloatArray
    clusterer: Any
    seed: int
    n_repeats: int = 5

    def partitions(self, n_clusters: int) -> list[SubPartition]:
        """Cluster overlapping subsamples, each with a seed of its own; every candidate sees the same subsamples."""
        n = len(self.X)
        size = min(n, max(math.ceil(SHARE * n), n_clusters + 1))
        found = []
        for repeat in range(self.n_repeats):
            generator = np.random.default_rng([self.seed, repeat])
            rows = np.sort(generator.permutation(n)[:size])
            found.append(SubPartition(rows, self._fit(rows, n_clusters, int(generator.integers(2**31)))))
        return found

    def _fit(self, rows: IntArray, n_clusters: int, seed: int) -> IntArray:
        estimator = clone(self.clusterer).set_params(n_clusters=n_clusters)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # too many clusters for the rows: the score says so
            return np.asarray(estimator.fit(self.X[rows]).labels_, dtype=np.int64)


def silhouette(sample: Sample, n_clusters: int) -> CandidateScore:
    """Score how far apart the clusters are: the mean silhouette over repeated partitions.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    n_clusters : int
        The candidate.

    Returns
    -------
    score : CandidateScore
        In [-1, 1].
    """
    separation = _separation(sample, sample.partitions(n_clusters))
    return _summarize(n_clusters, separation, silhouette=separation)


def stability(sample: Sample, n_clusters: int) -> CandidateScore:
    """Score how alike the clusters of overlapping subsamples are: their mean adjusted Rand index.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    n_clusters : int
        The candidate.

    Returns
    -------
    score : CandidateScore
        In [-0.5, 1]; 0 is chance.
    """
    agreement = _agreement(sample.partitions(n_clusters))
    return _summarize(n_clusters, agreement, stability=agreement)


def silhouette_stability(sample: Sample, n_clusters: int) -> CandidateScore:
    """Score clusters that are both apart and found again: silhouette times stability.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    n_clusters : int
        The candidate.

    Returns
    -------
    score : CandidateScore
        In [-1, 1]. The details are ``silhouette``, ``stability`` and their standard deviations.

    Notes
    -----
    Separation that another sample does not show again is an accident, and a partition that is found again need not
    separate anything; so neither makes up for the other, which a product says and a sum does not. Both factors are
    absolute (stability is corrected for chance), hence a candidate's score does not hang on which others are tried.
    A negative silhouette stays negative. Silhouette after [1]_; stability by subsampling after [2]_, with the adjusted
    Rand index in place of their correlation, which has no correction for chance.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics, 1987.
    .. [2] A. Ben-Hur, A. Elisseeff and I. Guyon, "A stability based method for discovering structure in clustered
       data", Pacific Symposium on Biocomputing, 2002.
    """
    partitions = sample.partitions(n_clusters)
    separation, agreement = _separation(sample, partitions), _agreement(partitions)
    return _summarize(n_clusters, separation * agreement.clip(min=0), silhouette=separation, stability=agreement)


def _separation(sample: Sample, partitions: list[SubPartition]) -> NDArray[np.float64]:
    """Return the silhouette of each partition; one cluster alone is apart from nothing."""
    return np.array(
        [
            silhouette_score(sample.X[part.rows], part.labels, max_rows=_SILHOUETTE_ROWS, random_state=sample.seed)
            if len(np.unique(part.labels)) > 1
            else 0.0
            for part in partitions
        ]
    )


def _agreement(partitions: list[SubPartition]) -> NDArray[np.float64]:
    """Return each partition's mean adjusted Rand index with the others, on the rows that two have in common."""
    n = len(partitions)
    agreement = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            _, mine, yours = np.intersect1d(
                partitions[i].rows, partitions[j].rows, assume_unique=True, return_indices=True
            )
            agreement[i, j] = adjusted_rand_score(partitions[i].labels[mine], partitions[j].labels[yours])
    return np.asarray((agreement + agreement.T).sum(axis=1) / (n - 1))


def _summarize(n_clusters: int, scores: NDArray[np.float64], **parts: NDArray[np.float64]) -> CandidateScore:
    details = {name: float(values.mean()) for name, values in parts.items()}
    details |= {f"{name}_spread": float(values.std(ddof=1)) for name, values in parts.items()}
    return CandidateScore(n_clusters, float(scores.mean()), float(scores.std(ddof=1)), details)
