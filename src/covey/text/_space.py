"""Where pictures and texts can be compared, whatever model makes that possible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from covey._arrays import l2_normalize
from covey.errors import InvalidValueError
from covey.text._vocabulary import fill_template
from covey.types import Backbone, FloatArray, TextEncoder

CLIP_TEMPERATURE = 100.0
CLIP_TEMPLATE = "a photo of a {}"


@dataclass(frozen=True, slots=True, eq=False)
class TextSpace:
    """A space that holds pictures and texts.

    Attributes
    ----------
    place_images : callable
        Features ``(n, n_features)`` of the backbone to unit rows ``(n, d)``.
    place_texts : callable
        n texts to unit rows ``(n, d)``.
    temperature : float
        What a cosine is multiplied with before the softmax over words.
    template : str
        The prompt a word is put into unless another is asked for; ``{}`` stands for the word.
    source : str
        What speaks, for a person and for the record.
    is_bridge : bool
        Whether two models that never met were joined: weaker than a model trained on pictures with their texts.
    """

    place_images: Callable[[FloatArray], FloatArray]
    place_texts: Callable[[Sequence[str]], FloatArray]
    temperature: float
    template: str
    source: str
    is_bridge: bool

    def place_words(self, words: Sequence[str], template: str | None = None) -> FloatArray:
        """Place words, each in its prompt.

        Parameters
        ----------
        words : sequence of str
            At least one.
        template : str, optional
            The prompt, with ``{}`` for the word; the space's own if not given.

        Returns
        -------
        vectors : ndarray of shape (n, d), dtype float32
            Unit rows, in the order of the words.

        Raises
        ------
        InvalidValueError
            If the template does not hold ``{}`` exactly once.
        """
        return self.place_texts(fill_template(self.template if template is None else template, words))


def tower_space(backbone: Backbone) -> TextSpace:
    """Return the space of a backbone that has a text tower.

    Parameters
    ----------
    backbone : Backbone
        Loaded; it offers `encode_texts` too.

    Returns
    -------
    space : TextSpace
        Cosine similarity of features and texts, times 100 in the softmax, as CLIP was trained with.

    Raises
    ------
    InvalidValueError
        If the backbone knows pictures only.
    """
    if not isinstance(backbone, TextEncoder):
        raise InvalidValueError(
            f"{backbone.spec.name} knows pictures only: it has no text tower, so it can neither take a text "
            "query nor name "
            "clusters."
        )
    encoder = backbone
    return TextSpace(
        place_images=l2_normalize,
        place_texts=lambda texts: l2_normalize(_checked(encoder.encode_texts(texts), len(texts), backbone)),
        temperature=CLIP_TEMPERATURE,
        template=CLIP_TEMPLATE,
        source=f"the text tower of {backbone.spec.name}",
        is_bridge=False,
    )


def _checked(vectors: Any, n_texts: int, backbone: Backbone) -> FloatArray:
    """Refuse what a plug-in's text tower gives if it does not lie in the features' space."""
    wanted = (n_texts, backbone.spec.n_features)
    if np.shape(vectors) != wanted:
        raise InvalidValueError(
            f"The text tower of {backbone.spec.name} gave an array of shape {np.shape(vectors)} for {n_texts} "
            "texts; it "
            f"must be {wanted}."
        )
    return np.asarray(vectors, dtype=np.float32)
