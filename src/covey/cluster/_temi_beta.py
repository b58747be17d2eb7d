"""Choosing TEMI's β without labels, by two entropies: section 4.2 and supplement A.1 of [1]_.

.. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC 2023,
   arXiv:2303.17896.
"""

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from covey.cluster._parameters import check_real
from covey.metrics import entropy
from covey.types import NeighborGraph, Progress

if TYPE_CHECKING:
    from covey.cluster._temi import TEMI

BETAS = (0.52, 0.55, 0.6, 0.65, 0.7, 0.8, 1.0)


class BetaSweep(NamedTuple):
    """The two entropies for each β, and the β that was picked.

    Attributes
    ----------
    beta : float
        The β that was picked.
    betas : ndarray of shape (n_betas,), dtype float64
        The β that were tried, ascending.
    marginal_entropy : ndarray of shape (n_betas,), dtype float64
        H(q(c)) in nats, at most log(n_clusters): high if all clusters are used.
    conditional_entropy : ndarray of shape (n_betas,), dtype float64
        E[H(q(c|x))] in nats: low if predictions are sure.

    Notes
    -----
    `covey.gallery.draw_beta_sweep` draws both curves.
    """

    beta: float
    betas: NDArray[np.float64]
    marginal_entropy: NDArray[np.float64]
    conditional_entropy: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers and lists, which JSON can hold.

        Returns
        -------
        fields : dict
            By name; arrays are lists.
        """
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in self._asdict().items()
        }


def select_beta(
    X: Any,
    estimator: "TEMI",
    *,
    betas: Sequence[float] = BETAS,
    tolerance: float = 0.05,
    neighbors: NeighborGraph | None = None,
    progress: Progress | None = None,
) -> BetaSweep:
    """Train with several β and pick the lowest whose predictions are sure.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features.
    estimator : TEMI
        Settings; it is cloned, not fitted. Fewer heads and steps than in the final training are enough.
    betas : sequence of float in (0.5, 1], default=(0.52, 0.55, 0.6, 0.65, 0.7, 0.8, 1.0)
        The β to try.
    tolerance : float in [0, 1], default=0.05
        How far above the smallest conditional entropy counts as low, as a share of log(n_clusters).
    neighbors : NeighborGraph, default=None
        Neighbors of the rows of `X`, if they are known already.
    progress : Progress, default=None
        Called after each β.

    Returns
    -------
    sweep : BetaSweep
        The β that was picked, and both entropies.

    Raises
    ------
    ValueError
        If there is no β, or one is out of range.

    Notes
    -----
    The paper takes the lowest β from which on the conditional entropy is constantly low. Low is made precise here:
    within `tolerance` · log C of the smallest of the sweep, at that β and at all larger ones.
    """
    tried = np.unique(np.asarray(betas, dtype=np.float64))
    if len(tried) == 0:
        raise ValueError("betas is empty; give at least one number in (0.5, 1].")
    for beta in tried:
        check_real("Each of betas", beta, low=0.5, high=1.0, open_low=True)
    check_real("tolerance", tolerance, high=1.0)
    marginal, conditional = np.empty(len(tried)), np.empty(len(tried))
    for index, beta in enumerate(tried):
        temi = clone(estimator).set_params(beta=float(beta))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the marginal entropy shows empty clusters
            temi.fit(X, neighbors=neighbors)
        marginal[index], conditional[index] = _entropies(temi.predict_proba(X))
        if progress is not None:
            progress("beta", index + 1, len(tried))
    picked = first_constantly_low(conditional, tolerance * math.log(max(estimator.n_clusters, 2)))
    return BetaSweep(float(tried[picked]), tried, marginal, conditional)


def first_constantly_low(values: NDArray[np.float64], margin: float) -> int:
    """Return the first index from which on all values stay within `margin` of the smallest; the last if none does."""
    is_low = values <= values.min() + margin
    stays_low = np.logical_and.accumulate(is_low[::-1])[::-1]
    return int(stays_low.argmax()) if stays_low.any() else len(values) - 1


def _entropies(probabilities: NDArray[np.float32]) -> tuple[float, float]:
    """Return H(q(c)) and E[H(q(c|x))] in nats, for predictions (n, n_clusters)."""
    p = probabilities.astype(np.float64)
    return float(entropy(p.mean(axis=0))), float(entropy(p).mean())
