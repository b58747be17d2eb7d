"""Votes for words: from vectors of images and words in one space, or from what a captioner said of each image."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from covey._arrays import check_features, cluster_means, iter_blocks, l2_normalize, top_places
from covey.naming._choice import assign_names, rank_words
from covey.types import NOISE, ClusterName, FloatArray, IntArray

DEFAULT_THRESHOLD = 0.05
"""Below this score a cluster stays without a name; see `name_clusters`."""

_WORTH_IT: Final = 0.5
"""A word can be a cluster's name if it scores at least this share of the cluster's best word."""

_BLOCK_VALUES = 2**23


class _Votes(NamedTuple):
    """Shares of votes, a row for each cluster."""

    labels: IntArray  # (k,) ascending
    shares: csr_array  # (k, n_words) float64 in [0, 1]


def name_clusters(
    image_vectors: FloatArray,
    labels: IntArray,
    vocabulary: Sequence[str],
    word_vectors: FloatArray,
    *,
    temperature: float = 100.0,
    n_votes: int = 5,
    n_neighbors: int = 5,
    n_runners_up: int = 4,
    threshold: float = DEFAULT_THRESHOLD,
    is_allowed: NDArray[np.bool_] | None = None,
) -> list[ClusterName]:
    """Name clusters by what their images vote for.

    Parameters
    ----------
    image_vectors : ndarray of shape (n, d), dtype float32
        Images, in a space that they share with words. Rows need not have unit length.
    labels : ndarray of shape (n,), dtype int64
        Their clusters; rows of `NOISE` have no vote.
    vocabulary : sequence of str
        The words, none twice.
    word_vectors : ndarray of shape (n_words, d), dtype float32
        A row for each word.
    temperature : float, default=100.0
        What a cosine is multiplied with before the softmax over all words.
    n_votes : int, default=5
        Words that an image votes for.
    n_neighbors : int, default=5
        Clusters, nearest by their centres, that a word is weighed against.
    n_runners_up : int, default=4
        Further words to tell.
    threshold : float, default=0.05
        In [0, 1]. A cluster whose best word scores less gets no name.
    is_allowed : ndarray of shape (k, n_words), dtype bool, optional
        Which words may name which cluster, a row for each by label, e.g. those of `word_chances` that are no matter of
        chance; all if not given.

    Returns
    -------
    names : list of ClusterName
        One for each cluster that has an image, by label. No two names are equal. `name` is empty where the best word
        scores below the threshold; that word is then the first runner-up. `score` is that of the name, 0 without one.

    Raises
    ------
    ValueError
        If shapes do not fit, a word is there twice, or a number is not allowed.

    Notes
    -----
    Follows algorithm 2 of CPP [1]_, appendix H, as the authors' code has it: each image gives its five most likely
    words, of a softmax over all words at temperature 100, its probabilities for them, and a cluster's votes are summed.
    Departs from both:

    - Votes are divided by the number of images: a *share* in [0, 1], comparable between clusters.
    - The score is the share p times ``p / (p + q)``, where q is the largest share that the word has in a neighboring
      cluster. A word that fits the neighbors as well counts half, so that two clusters of cars are told apart by what
      is not shared.
    - No two clusters get the same name: of the words that score at least half as much as a cluster's best one, each
      gets one or none, so that the sum of scores is as large as it can be.
    - Ties go to the word that comes first in the vocabulary; the authors' order depends on Python's hash seed.

    O(n · n_words · d); memory beyond the arguments is a block of 2²³ similarities.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR
       2024, arXiv:2306.05272.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.array([[1, 0.1], [0.9, 0], [0, 1], [0.1, 1]], dtype=np.float32)
    >>> words = np.eye(2, dtype=np.float32)
    >>> [name.name for name in name_clusters(images, np.array([0, 0, 1, 1]), ["red", "green"], words)]
    ['red', 'green']
    """
    image_vectors = check_features(image_vectors, name="image_vectors")
    word_vectors = check_features(word_vectors, name="word_vectors")
    labels = _check_labels(labels, len(image_vectors), "image_vectors")
    _check_vocabulary(vocabulary)
    _check_numbers(temperature=temperature, threshold=threshold)
    if len(word_vectors) != len(vocabulary) or word_vectors.shape[1] != image_vectors.shape[1]:
        raise ValueError(
            f"word_vectors has shape {word_vectors.shape}; {len(vocabulary)} words in the images' space need "
            f"({len(vocabulary)}, {image_vectors.shape[1]})."
        )
    kept = labels != NOISE
    unit, labels = l2_normalize(image_vectors[kept]), labels[kept]
    votes = _count_votes(unit, labels, l2_normalize(word_vectors), temperature, n_votes)
    rivals = _nearest_clusters(unit, np.searchsorted(votes.labels, labels), len(votes.labels), n_neighbors)
    return _choose_names(votes, rivals, vocabulary, (threshold, is_allowed), n_runners_up)


def name_from_captions(
    captions: Sequence[str],
    labels: IntArray,
    vocabulary: Sequence[str],
    *,
    n_runners_up: int = 4,
    threshold: float = DEFAULT_THRESHOLD,
) -> list[ClusterName]:
    """Name clusters by the words of a vocabulary that their images' captions hold.

    Parameters
    ----------
    captions : sequence of str
        One for each image; an empty one has no vote.
    labels : ndarray of shape (n,), dtype int64
        Their clusters; `NOISE` has no vote.
    vocabulary : sequence of str
        The words and phrases that are looked for, whole and whatever their case; none twice.
    n_runners_up, threshold
        As for `name_clusters`.

    Returns
    -------
    names : list of ClusterName
        As for `name_clusters`. The share of a word is the share of the cluster's images whose caption holds it, and it
        is weighed against all other clusters.

    Raises
    ------
    ValueError
        If shapes do not fit, a word is there twice, or the threshold is not allowed.

    Notes
    -----
    A phrase is found where its words follow one another; within a longer phrase of the vocabulary the shorter one is
    found too, "truck" in "fire truck". Words of scripts that set no spaces between words are found only where the
    caption sets them apart.

    Examples
    --------
    >>> captions = ["A dog runs.", "dogs and a dog", "A cat on a mat", "the cat"]
    >>> [name.name for name in name_from_captions(captions, np.array([0, 0, 1, 1]), ["cat", "dog", "mat"])]
    ['dog', 'cat']
    """
    labels = _check_labels(labels, len(captions), "captions")
    _check_vocabulary(vocabulary)
    _check_numbers(threshold=threshold)
    values, places = np.unique(labels[labels != NOISE], return_inverse=True)
    phrases = {tuple(_words_of(word)): place for place, word in reversed(list(enumerate(vocabulary)))}
    longest = max((len(phrase) for phrase in phrases), default=0)
    rows, columns = [], []
    for row, caption in zip(places, (captions[i] for i in np.flatnonzero(labels != NOISE).tolist()), strict=True):
        found = {phrases[phrase] for phrase in _phrases_of(caption, longest) if phrase in phrases}
        rows += [row] * len(found)
        columns += sorted(found)
    sizes = np.bincount(places, minlength=len(values))
    shares = csr_array((1.0 / sizes[rows], (rows, columns)), shape=(len(values), len(vocabulary)))
    everyone = np.arange(len(values))
    rivals = [np.delete(everyone, row) for row in everyone]
    return _choose_names(_Votes(values, shares), rivals, vocabulary, (threshold, None), n_runners_up)


def sample_rows(labels: IntArray, max_images: int = 2000) -> IntArray:
    """Pick the rows that speak for their clusters, so that naming a large collection stays quick.

    Parameters
    ----------
    labels : ndarray of shape (n,), dtype int64
        Clusters; rows of `NOISE` are left out.
    max_images : int, default=2000
        Rows of a cluster; more are thinned out evenly, which moves a share by about 0.01 at most (one standard
        error).

    Returns
    -------
    rows : ndarray, dtype int64
        Ascending; the same for the same labels.
    """
    if max_images < 1:
        raise ValueError(f"max_images is {max_images}; it must be at least 1.")
    order = np.argsort(labels, kind="stable")
    picked = [np.empty(0, dtype=np.int64)]
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(members) and labels[members[0]] != NOISE:
            places = np.linspace(0, len(members) - 1, min(len(members), max_images)).astype(np.int64)
            picked.append(members[places])
    return np.sort(np.concatenate(picked))


def _count_votes(unit: FloatArray, labels: IntArray, words: FloatArray, temperature: float, n_votes: int) -> _Votes:
    """Sum each image's probabilities for its likeliest words, cluster by cluster, and divide by the cluster's size."""
    values, places = np.unique(labels, return_inverse=True)
    n_votes = min(max(n_votes, 1), len(words))
    columns = np.empty((len(unit), n_votes), dtype=np.int64)
    weights = np.empty((len(unit), n_votes))
    for rows in iter_blocks(len(unit), len(words), _BLOCK_VALUES):
        logits = temperature * (unit[rows] @ words.T)
        # Votes at the edge of a tie go to the words that come first, so that repeated vectors do no harm.
        columns[rows] = [top_places(line, n_votes) for line in logits]
        top = np.take_along_axis(logits, columns[rows], axis=1).astype(np.float64)
        peak = logits.max(axis=1, keepdims=True)
        weights[rows] = np.exp(top - peak) / np.exp(logits - peak).sum(axis=1, keepdims=True, dtype=np.float64)
    weights /= np.bincount(places, minlength=len(values))[places][:, None]
    index = (np.repeat(places, n_votes), columns.ravel())
    return _Votes(values, csr_array((weights.ravel(), index), shape=(len(values), len(words))))


def _choose_names(
    votes: _Votes,
    rivals: Sequence[IntArray],
    vocabulary: Sequence[str],
    limits: tuple[float, NDArray[np.bool_] | None],
    n_runners_up: int,
) -> list[ClusterName]:
    """Score each cluster's words by p² / (p + q), and assign them where they score enough and are allowed."""
    threshold, is_allowed = limits
    candidates = []
    for row in range(len(votes.labels)):
        own = votes.shares[[row]].tocoo()
        words, p = own.coords[1].astype(np.int64), own.data
        has_rivals = len(rivals[row]) and len(words)
        q = votes.shares[rivals[row]][:, words].max(axis=0).toarray().ravel() if has_rivals else np.zeros(len(words))
        scores = p**2 / np.maximum(p + q, np.finfo(np.float64).tiny)
        least = max(threshold, _WORTH_IT * scores.max(initial=0))
        is_fit = scores >= least
        candidates.append(rank_words(words, scores, is_fit if is_allowed is None else is_fit & is_allowed[row, words]))
    return assign_names(votes.labels, candidates, vocabulary, n_runners_up)


def _nearest_clusters(unit: FloatArray, places: IntArray, n_clusters: int, n_neighbors: int) -> list[IntArray]:
    """Return for each cluster the places of those with the nearest centres."""
    centers = l2_normalize(cluster_means(unit, places, n_clusters))
    closeness = centers @ centers.T
    np.fill_diagonal(closeness, -np.inf)
    order = np.argsort(-closeness, axis=1, kind="stable")
    return list(order[:, : min(max(n_neighbors, 0), n_clusters - 1)])


def _words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _phrases_of(text: str, longest: int) -> Iterator[tuple[str, ...]]:
    """Yield every run of at most `longest` words."""
    words = _words_of(text)
    for start in range(len(words)):
        for stop in range(start + 1, min(start + longest, len(words)) + 1):
            yield tuple(words[start:stop])


def _check_labels(labels: IntArray, n_rows: int, of: str) -> IntArray:
    labels = np.asarray(labels)
    if labels.shape != (n_rows,) or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(f"labels has shape {labels.shape} and dtype {labels.dtype}; {of} has {n_rows} rows.")
    return labels.astype(np.int64)


def _check_vocabulary(vocabulary: Sequence[str]) -> None:
    if not len(vocabulary):
        raise ValueError("The vocabulary is empty; at least one word is needed.")
    if len(set(vocabulary)) < len(vocabulary):
        repeated = next(word for word in vocabulary if list(vocabulary).count(word) > 1)
        raise ValueError(f"The vocabulary holds {repeated!r} more than once; each word may be there once.")


def _check_numbers(*, threshold: float, temperature: float = 1.0) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must lie in [0, 1].")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
