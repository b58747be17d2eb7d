"""Spectral clustering of the doubly stochastic membership of plain features: CPP's last step without its training."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from covey._torch import make_generator, to_numpy
from covey.cluster._checks import check_integer, check_n_clusters, check_real, fit_features
from covey.cluster._head_clusterer import HeadClusterer
from covey.cluster._spectral._landmarks import SpectralLabels, Spectrum
from covey.objectives.sinkhorn import check_half_steps

# Appendix D of CPP's paper: the features as they are, and the best γ, by labels, of eight from 0.06 to 0.2. Which one
# that was is not told; this is one of them.
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"cpp-paper": {"center": False, "gamma": 0.1}})
"""Keywords of the constructor by the name of their source."""


class SinkhornSpectral(HeadClusterer):
    """Cluster features by the eigenvectors of their doubly stochastic membership.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    gamma : float, default=0.1
        Regularisation γ of the membership, in units of a cosine: larger makes it more even.
    n_half_steps : int, default=5
        Sinkhorn's scalings of rows and columns, odd; 1 is a softmax of rows.
    center : bool, default=True
        Whether the mean row is subtracted before rows are scaled to unit length. Features behind a ReLU lie in a narrow
        cone, where all cosines are alike.
    n_landmarks : int, default=1024
        Rows that stand for all; where there are no more rows than these, it is exact.
    device : str, default="auto"
        ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the landmarks and the starts of k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters).
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1: softmax of the cosines between a row's spectral coordinates and the clusters' centers, over γ.
        None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    diagnostics_ : dict
        JSON-compatible: ``n_landmarks``; ``mean_max_probability``, ``median_max_probability``,
        ``conditional_entropy``, ``kl_to_uniform``, ``n_empty_clusters``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    CPP : Learns a code first, and cuts its membership in the same way.
    SpectralClustering : A graph of neighbours instead.

    Notes
    -----
    The baseline "SC" of [1]_, appendix D: spectral clustering of the Sinkhorn projection of |X Xᵀ| / γ. Departs from
    the paper: it is of all rows, through landmarks, and not of a batch; rows are centred unless told otherwise; new
    rows are placed by their membership among the landmarks. O(n m (d + m)) time for m landmarks, O(m²) memory beside
    `X`.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SinkhornSpectral
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 8)) for center in np.eye(8)[:3] * 3])
    >>> labels = SinkhornSpectral(n_clusters=3, random_state=0).fit_predict(X)
    >>> [len(set(labels[start : start + 40])) for start in (0, 40, 80)], len(set(labels[::40]))
    ([1, 1, 1], 3)
    """

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Ask for fewer clusters, or lower gamma."

    _head: SpectralLabels

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        gamma: float = 0.1,
        n_half_steps: int = 5,
        center: bool = True,
        n_landmarks: int = 1024,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.gamma = gamma
        self.n_half_steps = n_half_steps
        self.center = center
        self.n_landmarks = n_landmarks
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # type: ignore[override]  # until it has a _fit
        """Find the eigenvectors and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count, from the mean row if `center`.
        y : Ignored
            For scikit-learn's contract.

        Returns
        -------
        self : SinkhornSpectral
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer rows than clusters.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        X = fit_features(self, X)
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        for name in ("n_half_steps", "n_landmarks"):
            check_integer(name, getattr(self, name), minimum=1)
        check_half_steps(self.n_half_steps)
        check_real("gamma", self.gamma, open_low=True)
        rows = torch.from_numpy(X).double() if X.flags.writeable else torch.from_numpy(X.copy()).double()
        directions = Directions(rows.mean(dim=0) if self.center else torch.zeros(X.shape[1], dtype=torch.float64))
        code = to_numpy(directions(rows).float())
        spectrum = Spectrum.fit(
            code,
            self.device,
            max(self.n_landmarks, n_clusters),
            sinkhorn=(self.gamma, self.n_half_steps),
            seeds=make_generator(self.random_state),
        )
        labels = spectrum.labels(code, n_clusters, self.device)
        self._answer(X, directions, labels, n_landmarks=len(spectrum.landmarks.codes))
        return self


class Directions:
    """Scale rows to unit length, seen from a point.

    Parameters
    ----------
    origin : Tensor of shape (d,), dtype float64
        The point.
    """

    def __init__(self, origin: Tensor) -> None:
        self.origin = origin

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the directions of rows (n, d) in their dtype, rounded to float32; a row at the origin has none."""
        directions = normalize(rows.double() - self.origin.to(rows.device), dim=1)
        return directions.float().to(rows.dtype)
