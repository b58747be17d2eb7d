"""SSC-OMP: sparse subspace clustering by orthogonal matching pursuit."""

from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from covey._arrays import l2_normalize
from covey._torch import resolve_float64_device, to_tensor
from covey.cluster._checks import check_choices, check_integer, check_n_clusters, check_real, fit_features
from covey.cluster._spectral import GraphClusterer
from covey.cluster._subspace._affinity import AffinityKind, code_affinity
from covey.cluster._subspace._presets import SSCOMP_PRESETS
from covey.cluster._subspace._pursuit import matching_pursuit


class SSCOMP(GraphClusterer):
    """Cluster features by writing each row through few others, chosen greedily.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    n_nonzero : int, default=10
        Most other rows in a code; at most n_samples - 1 are used.
    tol : float, default=1e-6
        A code is done when the squared length of its residual, of a row of length 1, is below this.
    affinity : {"symmetric", "neighbors"}, default="symmetric"
        How codes become a graph: the coefficients themselves, or the three rows with the most similar codes.
    n_init : int, default=10
        Restarts of k-means on the eigenvectors.
    n_votes : int, default=10
        Training rows that vote on a new row.
    device : str, default="auto"
        Where to find the codes: ``"auto"``, ``"cpu"`` or ``"cuda"``; MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the starts of the eigensolver and of k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        In [0, n_clusters). Equal rows have equal labels.
    codes_ : csr_array of shape (n_samples, n_samples), dtype float64
        Row i writes row i of the unit features by the others.
    eigenvalues_ : ndarray of shape (n_clusters,), dtype float64
        Smallest eigenvalues of the normalised Laplacian, ascending; fewer if few rows have an edge.
    diagnostics_ : dict
        JSON-compatible: ``mean_squared_residual``; ``n_within_tol``, codes that reached `tol`; ``mean_code_size``;
        ``n_empty_codes``; and what `SpectralClustering` tells.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    EnSC : Convex, and usually better.
    SpectralClustering : A graph of neighbours instead.

    Notes
    -----
    [1]_. Rows are scaled to unit length. The residual's *squared* length is compared with `tol`, as the authors' code
    does, which compares it with a multiple of the row's length; their documentation speaks of the length itself. Unlike
    theirs, no row joins a code twice, and a code ends where nothing correlates with its residual.
    O(n² d n_nonzero) time as products (block, d) x (d, n); memory O(n n_nonzero) and a fixed workspace.

    References
    ----------
    .. [1] C. You, D. P. Robinson and R. Vidal, "Scalable sparse subspace clustering by orthogonal matching pursuit",
       CVPR 2016, arXiv:1507.01238.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import SSCOMP
    >>> rng = np.random.default_rng(0)
    >>> spaces = rng.normal(size=(2, 4, 20))
    >>> X = np.concatenate([rng.normal(size=(40, 4)) @ space for space in spaces])
    >>> labels = SSCOMP(n_clusters=2, n_nonzero=4, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = SSCOMP_PRESETS
    _if_apart: ClassVar = "Raise n_nonzero."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_nonzero: int = 10,
        tol: float = 1e-6,
        affinity: AffinityKind = "symmetric",
        n_init: int = 10,
        n_votes: int = 10,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_nonzero = n_nonzero
        self.tol = tol
        self.affinity = affinity
        self.n_init = n_init
        self.n_votes = n_votes
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the codes, partition who writes whom, and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; only their directions count.
        y : Ignored
            For scikit-learn's contract.

        Returns
        -------
        self : SSCOMP
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer rows than clusters.
        ConvergenceError
            If no row correlates with another, or the eigensolver does not converge.

        Warns
        -----
        ConvergenceWarning
            If the graph of codes falls into more parts than clusters.
        """
        rows = l2_normalize(fit_features(self, X))
        check_n_clusters(self.n_clusters, len(rows))
        check_choices(self.get_params(), {"affinity": ("symmetric", "neighbors")})
        for name in ("n_nonzero", "n_init", "n_votes"):
            check_integer(name, getattr(self, name), minimum=1)
        check_real("tol", self.tol)
        if len(rows) == 1:
            self.codes_ = csr_array((1, 1))
            return self._answer(rows, self.codes_)
        tensor = to_tensor(rows, resolve_float64_device(self.device))
        codes = matching_pursuit(tensor, n_nonzero=min(self.n_nonzero, len(rows) - 1), tol=self.tol)
        sparse = codes.to_sparse()
        sizes = np.diff(sparse.indptr)
        self._answer(
            rows,
            code_affinity(sparse, kind=self.affinity),
            mean_squared_residual=float(codes.residuals.mean()),
            n_within_tol=int((codes.residuals <= self.tol).sum()),
            mean_code_size=float(sizes.mean()),
            n_empty_codes=int((sizes == 0).sum()),
        )
        self.codes_ = sparse
        return self
