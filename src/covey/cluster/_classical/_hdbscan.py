"""HDBSCAN on the principal components of unit rows: it finds the number of clusters, and leaves out what fits none."""

import warnings
from typing import Any, Literal, Self

import numpy as np
import sklearn.cluster
from sklearn.exceptions import ConvergenceWarning

from covey._arrays import l2_normalize
from covey.cluster._checks import check_choices, check_integer, fit_features
from covey.cluster._classical._reduction import principal_components
from covey.cluster._votes import VotingClusterer
from covey.types import NOISE, FloatArray, IntArray

Selection = Literal["eom", "leaf"]

_SMALLEST_CLUSTER = 5
_SHARE_OF_SMALLEST = 100


class HDBSCAN(VotingClusterer):
    """Cluster features by their density, with as many clusters as there are dense places.

    Parameters
    ----------
    min_cluster_size : int or None, default=None
        Fewest rows of a cluster. None: a hundredth of the rows, at least 5.
    min_samples : int, default=5
        How many rows, itself included, must lie near a row for its place to be dense. Larger leaves out more.
    selection : {"eom", "leaf"}, default="eom"
        Which clusters of the hierarchy are taken: those that last longest, or the finest.
    assign_noise : bool, default=False
        Whether rows that fit no cluster get the label of the nearest rows that do, rather than -1.
    n_dimensions : int or None, default=32
        Principal components in which densities are measured; None takes all.
    n_votes : int, default=10
        Training rows that vote on a new row; those without a cluster vote for none.
    device : str, default="auto"
        Where votes are counted: ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by the CPU.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [-1, n_clusters_). Equal rows have equal labels; -1 is noise.
    n_clusters_ : int
        Number of clusters found.
    diagnostics_ : dict
        JSON-compatible: ``n_clusters``; ``n_noise``, rows that fit no cluster, also where they were assigned;
        ``min_cluster_size``, ``n_dimensions``.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    covey.selection.select_n_clusters : Finds a number for the methods that need one.

    Notes
    -----
    [1]_, by scikit-learn. In many dimensions all distances are alike and most rows look like noise, so unit rows are
    reduced first. Nothing is drawn, so there is no seed. O(n² n_dimensions) time, O(n n_dimensions) memory.

    References
    ----------
    .. [1] R. J. G. B. Campello, D. Moulavi and J. Sander, "Density-based clustering based on hierarchical density
       estimates", PAKDD 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import HDBSCAN
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.3, (40, 4)) for center in ([3, 0, 0, 0], [0, 3, 0, 0])])
    >>> HDBSCAN().fit(X).n_clusters_
    2
    """

    def __init__(
        self,
        *,
        min_cluster_size: int | None = None,
        min_samples: int = 5,
        selection: Selection = "eom",
        assign_noise: bool = False,
        n_dimensions: int | None = 32,
        n_votes: int = 10,
        device: str = "auto",
    ) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.selection = selection
        self.assign_noise = assign_noise
        self.n_dimensions = n_dimensions
        self.n_votes = n_votes
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find dense places and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            For scikit-learn's contract.

        Returns
        -------
        self : HDBSCAN
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range.

        Warns
        -----
        ConvergenceWarning
            If no place is dense: then all rows are noise, or one cluster with `assign_noise`.
        """
        rows = l2_normalize(fit_features(self, X))
        self._check_parameters()
        smallest = self.min_cluster_size or max(_SMALLEST_CLUSTER, len(rows) // _SHARE_OF_SMALLEST)
        labels, n_dimensions = self._dense_places(rows, smallest)
        is_noise = labels == NOISE
        if is_noise.all():
            warnings.warn(
                f"No place is dense enough for a cluster of {smallest} rows: lower min_cluster_size or min_samples.",
                ConvergenceWarning,
                stacklevel=2,
            )
        if self.assign_noise:
            labels = self._assign(rows, labels)
        self._keep(rows, labels)
        self.n_clusters_ = int(self.labels_.max()) + 1
        self.diagnostics_ = {
            "n_clusters": self.n_clusters_,
            "n_noise": int(is_noise.sum()),
            "min_cluster_size": smallest,
            "n_dimensions": n_dimensions,
        }
        return self

    def _check_parameters(self) -> None:
        check_choices(self.get_params(), {"selection": ("eom", "leaf")})
        for name in ("min_samples", "n_votes"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.min_cluster_size is not None:
            check_integer("min_cluster_size", self.min_cluster_size, minimum=2)
        if self.n_dimensions is not None:
            check_integer("n_dimensions", self.n_dimensions, minimum=1)

    def _dense_places(self, rows: FloatArray, smallest: int) -> tuple[IntArray, int]:
        """Label unit rows (n, d), with noise; also return the number of dimensions."""
        if len(rows) < smallest:
            return np.full(len(rows), NOISE), rows.shape[1]
        reduction = principal_components(rows.astype(np.float64), self.n_dimensions)
        method = sklearn.cluster.HDBSCAN(
            min_cluster_size=smallest,
            min_samples=min(self.min_samples, len(rows)),
            cluster_selection_method=self.selection,
            copy=True,
        )
        labels: IntArray = method.fit(reduction.transform(rows.astype(np.float64))).labels_.astype(np.int64)
        return labels, int(reduction.n_components_)

    def _assign(self, rows: FloatArray, labels: IntArray) -> IntArray:
        """Give noise the label of the nearest rows with one; 0 if there is none."""
        is_noise = labels == NOISE
        if is_noise.all():
            return np.zeros_like(labels)
        if is_noise.any():
            labels = labels.copy()
            labels[is_noise] = self._vote(rows[is_noise], rows[~is_noise], labels[~is_noise])
        return labels
