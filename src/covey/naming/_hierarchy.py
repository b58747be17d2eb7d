"""Names from a classifier and a hierarchy of its classes: the words between "entity" and a breed of dogs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import softmax

from covey._arrays import iter_blocks
from covey.naming._choice import assign_names, rank_words
from covey.types import NOISE, ClusterName, FloatArray, IntArray

MIN_SHARE: Final = 0.2
"""Of a cluster's probability, how much must lie at or below the node that it is called by; see `name_by_hierarchy`."""

_BLOCK_VALUES: Final = 2**23


def class_shares(
    X: FloatArray, labels: IntArray, weight: FloatArray, bias: FloatArray
) -> tuple[IntArray, NDArray[np.float64]]:
    """Average a classifier's probabilities over the images of each cluster.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Features, as the classifier takes them.
    labels : ndarray of shape (n,), dtype int64
        Clusters; rows of `NOISE` take no part.
    weight : ndarray of shape (n_classes, d), dtype float32
        Its last layer: the probabilities of x are ``softmax(weight @ x + bias)``.
    bias : ndarray of shape (n_classes,), dtype float32
        Its bias.

    Returns
    -------
    values : ndarray of shape (k,), dtype int64
        The clusters' labels, ascending.
    shares : ndarray of shape (k, n_classes), dtype float64
        Rows add up to 1.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    if labels.shape != (len(X),) or weight.shape != (len(bias), X.shape[1]):
        raise ValueError(
            f"X has shape {X.shape}, labels {labels.shape}, weight {weight.shape} and bias {bias.shape}; they must be "
            "(n, d), (n,), (n_classes, d) and (n_classes,)."
        )
    kept = np.flatnonzero(labels != NOISE)
    values, places, sizes = np.unique(labels[kept], return_inverse=True, return_counts=True)
    shares = np.zeros((len(values), len(bias)))
    for rows in iter_blocks(len(kept), len(bias), _BLOCK_VALUES):
        np.add.at(shares, places[rows], softmax(X[kept[rows]] @ weight.T + bias, axis=1))
    return values, shares / sizes[:, None]


def name_by_hierarchy(
    shares: NDArray[np.float64],
    labels: IntArray,
    names: Sequence[str],
    below: csr_array,
    *,
    min_share: float = MIN_SHARE,
    threshold: float = 0.0,
    n_runners_up: int = 4,
) -> list[ClusterName]:
    """Name clusters by nodes of a hierarchy of classes, as special as the evidence carries.

    Parameters
    ----------
    shares : ndarray of shape (k, n_classes), dtype float64
        Mean probabilities of each cluster's images, from `class_shares`.
    labels : ndarray of shape (k,), dtype int64
        The clusters.
    names : sequence of str
        What each node is called, none twice.
    below : csr_array of shape (n_nodes, n_classes)
        One where a class is at or below a node, else zero; each node has one at least.
    min_share : float, default=0.2
        In [0, 1]: a cluster is not called by a node that has less of its probability.
    threshold : float, default=0.0
        In [0, 1]: nor by one that scores less.
    n_runners_up : int, default=4
        Further nodes to keep.

    Returns
    -------
    names : list of ClusterName
        One for each cluster, in the given order; no two names are equal. `name` is empty where no node may be taken, or
        others need all that may.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not allowed.

    Notes
    -----
    The score of node v for cluster k is

        s(k, v) = p(k, v) · p(k, v) / (p(k, v) + q(k, v)) · (1 - log n(v) / log n_classes)

    with p(k, v) the sum of the shares of the n(v) classes at or below v, and q(k, v) the mean of p over the other
    clusters: the share, the contrast with the other clusters (.5 if the node says no more of this cluster than of
    them), and the information content of the node, 0 for all classes and 1 for a single one. Going down to a child is
    worth it while the child keeps the larger part of the share, so siblings are weighed against each other too.

    Trading probability for information is due to Deng et al. [1]_, the information content of a node from the leaves
    below it to Seco et al. [2]_ (there of all hyponyms); the contrast is covey's. Names are assigned so that the sum of
    scores is as large as it can be (`_choice.assign_names`).

    References
    ----------
    .. [1] Deng, Krause, Berg and Fei-Fei, "Hedging Your Bets: Optimizing Accuracy-Specificity Trade-offs in Large
       Scale Visual Recognition", CVPR 2012.
    .. [2] Seco, Veale and Hayes, "An Intrinsic Information Content Metric for Semantic Similarity in WordNet",
       ECAI 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> below = csr_array(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    >>> shares = np.array([[0.36, 0.36, 0.14, 0.14], [0.05, 0.05, 0.9, 0.0]])
    >>> nodes = ["pug", "poodle", "dog", "cat", "car"]
    >>> [name.name for name in name_by_hierarchy(shares, np.array([0, 1]), nodes, below)]
    ['dog', 'cat']
    """
    _check_hierarchy(shares, labels, names, below, {"min_share": min_share, "threshold": threshold})
    p = np.asarray((below @ shares.T).T)  # (k, n_nodes)
    q = (p.sum(axis=0) - p) / max(len(p) - 1, 1)
    information = 1 - np.log(np.asarray(below.sum(axis=1)).ravel()) / np.log(max(below.shape[1], 2))
    scores = np.clip(p**2 / np.maximum(p + q, np.finfo(np.float64).tiny) * information, 0, 1)
    is_fit = (p >= min_share) & (scores >= threshold)
    nodes = np.arange(len(names))
    candidates = [rank_words(nodes, row, fit) for row, fit in zip(scores, is_fit, strict=True)]
    return assign_names(labels, candidates, names, n_runners_up)


def _check_hierarchy(
    shares: NDArray[np.float64], labels: IntArray, names: Sequence[str], below: csr_array, numbers: dict[str, float]
) -> None:
    if shares.ndim != 2 or labels.shape != (len(shares),) or below.shape != (len(names), shares.shape[1]):
        raise ValueError(
            f"shares has shape {shares.shape}, labels {labels.shape} and below {below.shape}, with {len(names)} names; "
            "they must be (k, n_classes), (k,) and (n_names, n_classes)."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"{len(names) - len(set(names))} of the nodes' names are repeated; each may be there once.")
    for name, value in numbers.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; it must lie in [0, 1].")
