"""Scores of one labeling: all that tables show of it, from one global matching of clusters to classes."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from covey.bench._protocol import BATCH_ROWS
from covey.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    expected_calibration_error,
    macro_accuracy,
    normalized_mutual_info_score,
)
from covey.types import NOISE, FloatArray, IntArray

N_RESAMPLES: Final = 2000
_INTERVAL: Final = (2.5, 97.5)


def score_labels(y: IntArray, labels: IntArray, probabilities: FloatArray | None = None) -> dict[str, Any]:
    """Compare one labeling with the classes.

    Parameters
    ----------
    y : ndarray of shape (n,), dtype int64
        Classes.
    labels : ndarray of shape (n,), dtype int64
        Clusters; `NOISE` counts as wrong.
    probabilities : ndarray of shape (n, n_clusters), dtype float, optional
        Of the same rows, for calibration.

    Returns
    -------
    scores : dict
        ``acc``, ``nmi_arithmetic``, ``nmi_geometric``, ``ami``, ``ari``, ``macro_acc`` as fractions; ``ece`` with
        probabilities; ``acc_interval``, its 95 % bootstrap interval over images; ``n``, ``n_used`` (clusters that have
        rows) and ``n_noise``.

    Notes
    -----
    The bootstrap keeps the matching of the whole: then each resampled image is right with probability ``acc``, and the
    accuracy of n of them is binomial, which is drawn from directly.
    """
    y, labels = np.asarray(y), np.asarray(labels)
    accuracy = clustering_accuracy(y, labels)
    resampled = np.random.default_rng(0).binomial(len(y), accuracy, size=N_RESAMPLES) / len(y)
    scores: dict[str, Any] = {
        "acc": accuracy,
        "acc_interval": np.percentile(resampled, _INTERVAL).tolist(),
        "macro_acc": macro_accuracy(y, labels),
        "nmi_arithmetic": normalized_mutual_info_score(y, labels),
        "nmi_geometric": normalized_mutual_info_score(y, labels, average_method="geometric"),
        "ami": adjusted_mutual_info_score(y, labels),
        "ari": adjusted_rand_score(y, labels),
        "n": len(y),
        "n_used": len(np.unique(labels[labels != NOISE])),
        "n_noise": int((labels == NOISE).sum()),
    }
    if probabilities is not None:
        scores["ece"] = expected_calibration_error(y, labels, np.clip(probabilities.max(axis=1), 0.0, 1.0))
    return scores


def score_batches(y: IntArray, labels: IntArray) -> dict[str, Any]:
    """Score batches of rows one by one, each with its own matching, and average: what CPP's code reports.

    Parameters
    ----------
    y, labels : ndarray of shape (n,), dtype int64
        As for `score_labels`.

    Returns
    -------
    scores : dict
        Means over the batches of what `score_labels` gives; ``n`` is the size of a batch. The rows are shuffled with a
        fixed seed; those that fill no batch are left out.
    """
    parts = [score_labels(y[rows], labels[rows]) for rows in _batches(len(y))]
    names = [name for name in parts[0] if name not in ("acc_interval", "n")]
    means = {name: float(np.mean([part[name] for part in parts])) for name in names}
    return {**means, "n": parts[0]["n"], "n_batches": len(parts)}


def _batches(n_rows: int) -> Iterator[IntArray]:
    order = np.random.default_rng(0).permutation(n_rows)
    size = min(BATCH_ROWS, n_rows)
    for start in range(0, n_rows - size + 1, size):
        yield order[start : start + size]
