"""EnSC: elastic net subspace clustering."""

from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from covey._arrays import l2_normalize
from covey._torch import resolve_float64_device, to_tensor
from covey.cluster._checks import check_choices, check_integer, check_n_clusters, check_real, fit_features
from covey.cluster._spectral import GraphClusterer
from covey.cluster._subspace._affinity import AffinityKind, code_affinity
from covey.cluster._subspace._elastic_net import elastic_net
from covey.cluster._subspace._presets import ENSC_PRESETS


class EnSC(GraphClusterer):
    """Cluster features by writing each row through few others, with an elastic net.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    gamma : float, default=10.0
        Weight of the residual, in units of the weight at which a code becomes zero. Larger uses more rows and costs
        more; at most 1 leaves nothing.
    tau : float in (0, 1], default=0.9
        Share of the absolute values in the penalty; the rest are squares, which join rows that are alike.
    affinity : {"symmetric", "neighbors"}, default="symmetric"
        How codes become a graph: the coefficients themselves, or the three rows with the most similar codes.
    tol : float, default=1e-3
        Largest violation of the optimality conditions, relative to `tau`.
    n_candidates : int, default=50
        How many of the most correlated rows are tried first. Decides the time, not the result.
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
        JSON-compatible: ``max_violation`` of the optimality conditions, over all codes and all rows; ``n_uncertified``,
        codes above `tol`; ``mean_code_size``; ``n_empty_codes``; and what `SpectralClustering` tells.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    SSCOMP : Greedy, and quicker.
    SpectralClustering : A graph of neighbours instead.

    Notes
    -----
    [1]_, with the scaling of its authors' code. Rows are scaled to unit length. Every code is certified against all
    rows, so it does not hang on `n_candidates` or on the block; see `elastic_net` for the equations. Departs from the
    authors' code: all coefficients of a code are kept, where it keeps the 50 largest; tolerances are for float32.
    O(n² d) time, a few products (n, d) x (d, n) in all; memory O(n n_candidates) and a fixed workspace.

    References
    ----------
    .. [1] C. You, C.-G. Li, D. P. Robinson and R. Vidal, "Oracle based active set algorithm for scalable elastic net
       subspace clustering", CVPR 2016, arXiv:1605.02633.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import EnSC
    >>> rng = np.random.default_rng(0)
    >>> planes = rng.normal(size=(2, 2, 20))
    >>> X = np.concatenate([rng.normal(size=(40, 2)) @ plane for plane in planes])
    >>> labels = EnSC(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    presets: ClassVar = ENSC_PRESETS
    _if_apart: ClassVar = "Raise gamma, or lower tau."

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        gamma: float = 10.0,
        tau: float = 0.9,
        affinity: AffinityKind = "symmetric",
        tol: float = 1e-3,
        n_candidates: int = 50,
        n_init: int = 10,
        n_votes: int = 10,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.gamma = gamma
        self.tau = tau
        self.affinity = affinity
        self.tol = tol
        self.n_candidates = n_candidates
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
        self : EnSC
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range or `X` has fewer rows than clusters.
        ConvergenceError
            If all codes are zero, as with gamma = 1, or the eigensolver does not converge.

        Warns
        -----
        ConvergenceWarning
            If the graph of codes falls into more parts than clusters.
        """
        rows = l2_normalize(fit_features(self, X))
        check_n_clusters(self.n_clusters, len(rows))
        self._check_parameters()
        if len(rows) == 1:
            self.codes_ = csr_array((1, 1))
            return self._answer(rows, self.codes_)
        tensor = to_tensor(rows, resolve_float64_device(self.device))
        codes = elastic_net(tensor, gamma=self.gamma, tau=self.tau, tol=self.tol, n_candidates=self.n_candidates)
        sparse = codes.to_sparse()
        sizes = np.diff(sparse.indptr)
        self._answer(
            rows,
            code_affinity(sparse, kind=self.affinity),
            max_violation=float(codes.residuals.max()),
            n_uncertified=int((codes.residuals > self.tol).sum()),
            mean_code_size=float(sizes.mean()),
            n_empty_codes=int((sizes == 0).sum()),
        )
        self.codes_ = sparse
        return self

    def _check_parameters(self) -> None:
        check_choices(self.get_params(), {"affinity": ("symmetric", "neighbors")})
        for name in ("n_candidates", "n_init", "n_votes"):
            check_integer(name, getattr(self, name), minimum=1)
        check_real("gamma", self.gamma, open_low=True)
        check_real("tau", self.tau, high=1.0, open_low=True)
        check_real("tol", self.tol, open_low=True)
