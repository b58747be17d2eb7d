"""Criteria: from the evidence for each candidate to one score each; the largest score wins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was measured for each candidate; all arrays have shape (n_candidates,).

    Attributes
    ----------
    candidates : ndarray, dtype int64
        Numbers of clusters, rising.
    silhouette : ndarray, dtype float64
        Mean silhouette in the reduced space, in [-1, 1].
    stability : ndarray, dtype float64
        Mean adjusted Rand index between partitions fitted on different subsamples, at most 1.
    stability_std : ndarray, dtype float64
        Its standard deviation over the pairs of subsamples.
    """

    candidates: NDArray[np.int64]
    silhouette: Scores
    stability: Scores
    stability_std: Scores


def silhouette_stability(evidence: Evidence) -> tuple[Scores, Scores]:
    """Ask for clusters that are apart and that come back: the product of silhouette and stability.

    Each alone is easily pleased. Silhouette favours a coarse cut that happens to fall well once; stability favours
    two clusters, which a single dominant direction always gives again. The product wants both; a negative factor counts
    as zero.

    Parameters
    ----------
    evidence : Evidence
        What was measured.

    Returns
    -------
    scores, deviations : ndarray of shape (n_candidates,), dtype float64
        Larger is better; one standard deviation of each, from that of the stability.
    """
    silhouette = np.maximum(evidence.silhouette, 0)
    return silhouette * np.maximum(evidence.stability, 0), silhouette * evidence.stability_std


def silhouette(evidence: Evidence) -> tuple[Scores, Scores]:
    """Ask for clusters that are apart; its deviation is unknown and given as zero.

    Parameters
    ----------
    evidence : Evidence
        What was measured.

    Returns
    -------
    scores, deviations : ndarray of shape (n_candidates,), dtype float64
        Larger is better.
    """
    return evidence.silhouette, np.zeros(len(evidence.candidates))


def stability(evidence: Evidence) -> tuple[Scores, Scores]:
    """Ask for clusters that come back when a part of the images is left out.

    Parameters
    ----------
    evidence : Evidence
        What was measured.

    Returns
    -------
    scores, deviations : ndarray of shape (n_candidates,), dtype float64
        Larger is better.
    """
    return evidence.stability, evidence.stability_std
