"""Where images and texts can be compared, whatever model makes that possible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from covey._arrays import iter_chunks, l2_normalize
from covey.errors import InvalidValueError
from covey.text._vocabulary import fill_template
from covey.types import Backbone, BackboneSpec, FloatArray, TextEncoder

CLIP_TEMPERATURE = 100.0
CLIP_TEMPLATE = "a photo of a {}"

_CHUNK_TEXTS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class TextSpace:
    """A space that holds images and texts.

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
        What compares images with texts, for messages and records.
    is_bridge : bool
        Whether two models that never met were joined: weaker than a model trained on images with their texts.
    """

    place_images: Callable[[FloatArray], FloatArray]
    place_texts: Callable[[Sequence[str]], FloatArray]
    temperature: float
    template: str
    source: str
    is_bridge: bool

    def place_words(self, words: Sequence[str], templates: Sequence[str] = ()) -> FloatArray:
        """Place words, each in its prompt or in several.

        Parameters
        ----------
        words : sequence of str
            At least one.
        templates : sequence of str, optional
            Prompts with ``{}`` for the word; a word lies where the mean of its prompts does. The space's own if there
            are none.

        Returns
        -------
        vectors : ndarray of shape (n, d), dtype float32
            Unit rows, in the order of the words.

        Raises
        ------
        InvalidValueError
            If a template does not hold ``{}`` exactly once.
        """
        prompts = [fill_template(template, words) for template in templates or (self.template,)]
        vectors = sum(self.place_texts(texts) for texts in prompts) / np.float32(len(prompts))
        return l2_normalize(np.asarray(vectors, dtype=np.float32))


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
        place_texts=lambda texts: _encode(encoder, texts, backbone.spec),
        temperature=CLIP_TEMPERATURE,
        template=CLIP_TEMPLATE,
        source=f"the text tower of {backbone.spec.name}",
        is_bridge=False,
    )


def _encode(encoder: TextEncoder, texts: Sequence[str], spec: BackboneSpec) -> FloatArray:
    """Encode texts a chunk at a time, and refuse what does not lie in the features' space."""
    vectors = np.empty((len(texts), spec.n_features), dtype=np.float32)
    for rows in iter_chunks(len(texts), _CHUNK_TEXTS):
        found = np.asarray(encoder.encode_texts(texts[rows]))
        if found.shape != vectors[rows].shape:
            raise InvalidValueError(
                f"The text tower of {spec.name} gave an array of shape {found.shape} for {len(texts[rows])} "
                "texts; it must "
                f"be {vectors[rows].shape}."
            )
        vectors[rows] = found
    return l2_normalize(vectors)
