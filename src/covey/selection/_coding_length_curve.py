"""The number of clusters of a trained CPP by its coding length: algorithm 1 of the paper, with a minimum to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from covey.cluster._cpp import CPP, nested_labels
from covey.errors import InvalidValueError
from covey.objectives.coding_length import coding_length
from covey.selection._select import default_candidates
from covey.types import Progress

_SAVING = 0.99


@dataclass(frozen=True, slots=True)
class CodingLengthCurve:
    """The coding length over the number of clusters.

    Attributes
    ----------
    candidates : tuple of int
        Numbers of clusters, rising, the first of them 1.
    lengths : tuple of float
        L_k, what it takes to write down all rows and their labels, in nats.
    label_lengths : tuple of float
        The labels' part of it.
    n_used : tuple of int
        How many clusters hold a row.
    n_rows, n_components : int
        Shape of the representation: L_k depends on both.
    eps_squared : float
        Squared distortion ε².
    """

    candidates: tuple[int, ...]
    lengths: tuple[float, ...]
    label_lengths: tuple[float, ...]
    n_used: tuple[int, ...]
    n_rows: int
    n_components: int
    eps_squared: float

    @property
    def n_clusters(self) -> int:
        """The number of the shortest length; of equal ones the smallest."""
        return self.candidates[int(np.argmin(self.lengths))]

    @property
    def is_minimum(self) -> bool:
        """Whether the shortest length lies between longer ones, rather than at an end of what was tried."""
        return self.candidates[0] < self.n_clusters < self.candidates[-1]

    @property
    def flat(self) -> tuple[int, ...]:
        """The numbers that save at least 99 % of the nats that the best one saves over a single cluster."""
        saved = self.lengths[0] - np.array(self.lengths)
        return tuple(k for k, one in zip(self.candidates, saved, strict=True) if one >= _SAVING * saved.max())

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as JSON-compatible data, in nats a row, as `covey.gallery.draw_coding_length` takes it.

        Returns
        -------
        curve : dict
            Fields of the curve by name; ``scores`` holds lists of one number per candidate.
        """
        per_row = [length / self.n_rows for length in self.lengths]
        labels = [length / self.n_rows for length in self.label_lengths]
        return {
            "n_clusters": self.n_clusters,
            "criterion": "nats_per_image",
            "candidates": list(self.candidates),
            "interval": [self.flat[0], self.flat[-1]],
            "is_minimum": self.is_minimum,
            "flat": list(self.flat),
            "n_used": list(self.n_used),
            "n_rows": self.n_rows,
            "n_components": self.n_components,
            "eps_squared": self.eps_squared,
            "scores": {"nats_per_image": per_row, "nats_for_labels": labels},
        }


def coding_length_curve(
    cpp: CPP,
    X: Any,
    candidates: Sequence[int] | None = None,
    *,
    eps_squared: float | None = None,
    progress: Progress | None = None,
) -> CodingLengthCurve:
    """Choose the number of clusters of a trained CPP, without training again.

    Parameters
    ----------
    cpp : CPP
        Fitted; it is not changed. ``cpp.relabel(curve.n_clusters)`` takes the number over.
    X : array-like of shape (n_samples, n_features)
        The rows that it was fitted to, in the same order.
    candidates : sequence of int, default=None
        Numbers of clusters, each from 1 to n_samples; None takes `default_candidates`. 1 is always among them.
    eps_squared : float, default=None
        Squared distortion ε²; None is that of `cpp`.
    progress : Progress, default=None
        Told after each candidate.

    Returns
    -------
    curve : CodingLengthCurve
        Every length, where the shortest is, and how flat it is there.

    Raises
    ------
    NotFittedError
        If `cpp` is not fitted.
    InvalidValueError
        If there are no candidates.
    ValueError
        If `X` has another shape than the rows of the fit, or a candidate is out of range.
    ConvergenceError
        If a log-determinant has no value.

    Notes
    -----
    Algorithm 1 of [1]_. For each k the labels are cut from the same eigenvectors of the membership, the first k of
    them, and L_k is `covey.objectives.coding_length` of Z = ``cpp.transform(X)``, with log-determinants in float64.

    Departs from the authors' code, which decomposes a membership of 15,000 rows at most, with another γ than in the
    training, for each of eight fixed candidates again, and draws L_k without taking the minimum; the paper calls now
    the minimum and now the elbow optimal. Here it is the minimum, and `is_minimum` and `flat` say what it is worth.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.
    """
    Z = torch.from_numpy(cpp.transform(X))
    if len(Z) != len(cpp.code_):
        raise ValueError(f"X has {len(Z)} rows, CPP was fitted to {len(cpp.code_)}; give the rows of the fit.")
    if candidates is not None and len(candidates) == 0:
        raise InvalidValueError("There are no candidates; give numbers of clusters from 1 on, or leave them out.")
    tried = default_candidates(len(Z)) if candidates is None else candidates
    tried = tuple(sorted({1, *tried}))
    eps_squared = cpp.eps_squared if eps_squared is None else eps_squared
    lengths, n_used = [], []
    for n_done, labels in enumerate(nested_labels(cpp, tried), start=1):
        lengths.append(coding_length(Z, torch.from_numpy(labels), eps_squared=eps_squared))
        n_used.append(len(np.unique(labels)))
        if progress is not None:
            progress("choose", n_done, len(tried))
    return CodingLengthCurve(
        candidates=tried,
        lengths=tuple(length.total for length in lengths),
        label_lengths=tuple(length.labels for length in lengths),
        n_used=tuple(n_used),
        n_rows=Z.shape[0],
        n_components=Z.shape[1],
        eps_squared=eps_squared,
    )
