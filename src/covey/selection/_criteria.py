"""Criteria for a number of clusters: five pieces of evidence, and a product of two of them.

A criterion is a function ``(sample, candidates) -> list of CandidateScore``, one a candidate. All judge the same
partitions, which the `Sample` makes once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from covey.metrics import adjusted_rand_score, silhouette_samples
from covey.objectives.coding_length import coding_length, gaussian_code_lengths
from covey.selection._row_sample import Partitions, Sample

EPS_SQUARED = 0.1
"""Squared distortion of a row whose mean squared length is 1: a tenth of the variance, CPP's value for unit rows."""

Scores = NDArray[np.float64]


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
        Standard deviation of the score over the subsamples.
    repeats : tuple of float
        The score in each subsample; each votes for the candidate that it scores best.
    details : mapping of str to float
        What the score was made of.
    """

    n_clusters: int
    score: float
    spread: float
    repeats: tuple[float, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)


def silhouette(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score how far apart the clusters are: the mean silhouette.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        In [-1, 1].

    Notes
    -----
    Of at most 2,000 rows of the sample, whose distances are computed once for all partitions.
    """
    return _each(sample, candidates, "silhouette", _silhouettes)


def stability(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score how alike the clusters of overlapping subsamples are: their mean adjusted Rand index.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        In [-0.5, 1]; 0 is chance.
    """
    return _each(sample, candidates, "stability", _rand_indices)


def silhouette_stability(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score clusters that are both apart and found again: silhouette times stability.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        In [-1, 1]. The details are ``silhouette``, ``stability`` and their standard deviations.

    Notes
    -----
    Separation that another sample does not show again is an accident, and a partition that is found again need not
    separate anything; so neither makes up for the other, which a product says and a sum does not. Both factors are
    absolute (stability is corrected for chance), hence a candidate's score does not depend on which others are tried.
    A negative silhouette stays negative. Silhouette after [1]_; stability by subsampling after [2]_, with the adjusted
    Rand index in place of their correlation, which has no correction for chance.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics, 1987.
    .. [2] A. Ben-Hur, A. Elisseeff and I. Guyon, "A stability based method for discovering structure in clustered
       data", Pacific Symposium on Biocomputing, 2002.
    """
    found = []
    for apart, again in zip(silhouette(sample, candidates), stability(sample, candidates), strict=True):
        scores = np.array(apart.repeats) * np.array(again.repeats).clip(min=0)
        details = {"silhouette": apart.score, "stability": again.score}
        details |= {"silhouette_spread": apart.spread, "stability_spread": again.spread}
        found.append(summarize(apart.n_clusters, scores, details))
    return found


def coding_length_score(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score how short rows and labels together can be written, in nats a row, negated.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        Negative; nearer to 0 is shorter.

    Notes
    -----
    `covey.objectives.coding_length` of each subsample with the means of its clusters, at a distortion of a tenth of
    the variance. CPP's own form, without means and in its representation, is `coding_length_curve`.
    """
    return _each(sample, candidates, "coding_length", _brevity)


def held_out_coding_length(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score how short rows can be written that the clusters have not seen, in nats a row, negated.

    Parameters
    ----------
    sample : Sample
        Rows and how to cluster them.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        Negative; nearer to 0 is shorter.

    Notes
    -----
    Each row outside a subsample goes to the cluster of the nearest mean, as a new image would. It costs that
    cluster's label, -log(n_i / n), and `covey.objectives.gaussian_code_lengths` with the Gaussian that the cluster's
    rows inside have. What a cluster has learned by heart does not help it here, so no price need be put on means and
    covariances. A cluster's covariance is that of its n_i rows, averaged with the mean one of all clusters, which
    counts as d rows: d rows are the fewest that tell a covariance in d directions.
    """
    return _each(sample, candidates, "held_out_coding_length", _foresight)


def eigengap(sample: Sample, candidates: Sequence[int]) -> list[CandidateScore]:
    """Score the gap behind the k-th eigenvalue of the neighbors' graph, whose first k are 0 if it falls into k parts.

    Parameters
    ----------
    sample : Sample
        Rows.
    candidates : sequence of int
        Numbers of clusters.

    Returns
    -------
    scores : list of CandidateScore
        In [0, 2].

    Notes
    -----
    Section 8.3 of [1]_: the difference of the (k+1)-th and the k-th smallest eigenvalue of I - D^(-1/2) W D^(-1/2),
    for the graph of log n nearest neighbors (section 8.1) of at most 2,000 rows. It needs no partition.

    References
    ----------
    .. [1] U. von Luxburg, "A tutorial on spectral clustering", Statistics and Computing, 2007.
    """
    found = []
    for k in candidates:
        gaps = [float(values[k] - values[k - 1]) if k < len(values) else 0.0 for values in sample.eigenvalues]
        found.append(summarize(k, np.array(gaps)))
    return found


def summarize(n_clusters: int, scores: Scores, details: Mapping[str, float] | None = None) -> CandidateScore:
    """Describe a candidate by its scores in the subsamples."""
    spread = float(scores.std(ddof=1))
    return CandidateScore(n_clusters, float(scores.mean()), spread, tuple(map(float, scores)), details or {})


def _each(
    sample: Sample, candidates: Sequence[int], name: str, score: Callable[[Sample, Partitions], Scores]
) -> list[CandidateScore]:
    """Score the partitions of every candidate, once."""

    def compute(n_clusters: int) -> CandidateScore:
        return summarize(n_clusters, score(sample, sample.partitions(n_clusters)))

    return [sample.recall(name, k, compute) for k in candidates]


def _silhouettes(sample: Sample, partitions: Partitions) -> Scores:
    """Return the mean silhouette of each partition, on the paired rows of its subsample; 0 for a single cluster."""
    found = []
    for inside, labels in zip(*partitions, strict=True):
        kept = inside[sample.paired_rows]
        within = labels[sample.paired_rows[kept]]
        distances = sample.distances[np.ix_(kept, kept)]
        is_defined = len(np.unique(within)) > 1
        found.append(silhouette_samples(distances, within, metric="precomputed").mean() if is_defined else 0.0)
    return np.array(found)


def _rand_indices(_: Sample, partitions: Partitions) -> Scores:
    """Return each partition's mean adjusted Rand index with the others, on the rows that two have in common."""
    n = len(partitions.inside)
    agreement = np.zeros((n, n))
    for i, j in combinations(range(n), 2):
        common = partitions.inside[i] & partitions.inside[j]
        agreement[i, j] = adjusted_rand_score(partitions.labels[i, common], partitions.labels[j, common])
    return np.asarray((agreement + agreement.T).sum(axis=1) / (n - 1))


def _brevity(sample: Sample, partitions: Partitions) -> Scores:
    X = torch.from_numpy(sample.X).double()
    found = []
    for kept, part in zip(*partitions, strict=True):
        length = coding_length(X[kept], torch.from_numpy(part[kept]), eps_squared=EPS_SQUARED, has_means=True)
        found.append(-length.total / int(kept.sum()))
    return np.array(found)


def _foresight(sample: Sample, partitions: Partitions) -> Scores:
    X = torch.from_numpy(sample.X).double()
    found = []
    for kept, part in zip(*partitions, strict=True):
        _, labels = np.unique(part, return_inverse=True)  # a cluster without rows has no Gaussian
        inside, outside = torch.from_numpy(labels[kept]), torch.from_numpy(labels[~kept])
        sizes, means, covariances = _gaussians(X[kept], inside)
        rows = gaussian_code_lengths(X[~kept], means, covariances, outside, eps_squared=EPS_SQUARED)
        codes = math.log(len(inside)) - sizes.log()
        found.append(-float((rows + codes[outside]).mean()))
    return np.array(found)


def _gaussians(X: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return sizes (k,), means (k, d) and covariances (k, d, d), each averaged with that within all clusters."""
    d = X.shape[1]
    sizes = torch.bincount(labels)
    parts = torch.split(X[torch.argsort(labels, stable=True)], sizes.tolist())
    means = torch.stack([part.mean(dim=0) for part in parts])
    scatters = torch.stack([(part - mean).T @ (part - mean) for part, mean in zip(parts, means, strict=True)])
    within = scatters.sum(dim=0) / len(X)
    return sizes.double(), means, (scatters + d * within) / (sizes + d)[:, None, None]
