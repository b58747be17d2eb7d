"""Whether words fit a collection better than words drawn at random would."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from covey._arrays import cluster_means, l2_normalize
from covey.types import NOISE, FloatArray, IntArray

MAX_CHANCE: Final = 0.05
"""The level of both tests below."""


def word_chances(
    image_vectors: FloatArray, labels: IntArray, word_vectors: FloatArray, reference_vectors: FloatArray
) -> NDArray[np.float64]:
    """Return how likely the best of as many random words would fit a cluster as well as each word does.

    Parameters
    ----------
    image_vectors : ndarray of shape (n, d), dtype float32
        Images, in a space that they share with words. Rows need not have unit length.
    labels : ndarray of shape (n,), dtype int64
        Their clusters; rows of `NOISE` take no part.
    word_vectors : ndarray of shape (n_words, d), dtype float32
        The words in question.
    reference_vectors : ndarray of shape (n_reference, d), dtype float32
        Words of all sorts, among which the words in question are not.

    Returns
    -------
    chances : ndarray of shape (k, n_words), dtype float64
        In (0, 1], a row for each cluster by label.

    Notes
    -----
    A word's fit is its mean cosine with the cluster's images. With r reference words that fit as well, the share of
    random words that do is estimated by ``f = (r + 1) / (n_reference + 1)`` (Davison and Hinkley 1997, section 4.2),
    and the best of n_words of them does with ``1 - (1 - f) ** n_words``. O(k · n_reference · (d + log n_reference)).
    """
    kept = labels != NOISE
    values, places = np.unique(labels[kept], return_inverse=True)
    means = cluster_means(l2_normalize(image_vectors[kept]), places, len(values))
    fits = means @ l2_normalize(word_vectors).T  # (k, n_words)
    reference = np.sort(means @ l2_normalize(reference_vectors).T, axis=1)  # (k, n_reference)
    n_worse = np.stack([np.searchsorted(row, fit, side="left") for row, fit in zip(reference, fits, strict=True)])
    shares = (reference.shape[1] - n_worse + 1) / (reference.shape[1] + 1)
    return np.asarray(1 - (1 - shares) ** len(word_vectors))


def words_separate(chances: NDArray[np.float64]) -> bool:
    """Tell whether words fit more clusters of a collection than random words would; no label is needed.

    Parameters
    ----------
    chances : ndarray of shape (k, n_words), dtype float64
        From `word_chances`.

    Returns
    -------
    is_better : bool
        Whether so many clusters have a word with a chance of at most .05 that random words would give as many with a
        probability of at most .05 (binomial tail).
    """
    n_passed = int((chances.min(axis=1) <= MAX_CHANCE).sum())
    return bool(n_passed and binom.sf(n_passed - 1, len(chances), MAX_CHANCE) <= MAX_CHANCE * (1 + 1e-9))
