"""Words: what clusters are named from, and the models that place texts among images.

Start reading at `TextSpace`, in which images and texts can be compared. A backbone with a text tower is one
(`tower_space`); for one without, `bridge_space` joins the classifier that comes with its weights with a sentence
embedder. Without an embedder, `noun_tree` has the nouns above the classes of that classifier. `_vocabulary` reads lists
of words, `_captions` adapts models that describe images. Nothing heavy is imported before it is used.
"""

from typing import TYPE_CHECKING

from covey.registry import lazy_exports
from covey.text._vocabulary import Vocabulary, default_vocabulary, read_vocabulary, vocabulary_from

if TYPE_CHECKING:
    from covey.text._bridge import ClassifierBridge, bridge_space, can_bridge, center_classifier, read_classifier
    from covey.text._captions import CallableCaptioner, CommandCaptioner
    from covey.text._minilm import MiniLM, load_text_embedder
    from covey.text._space import TextSpace, tower_space
    from covey.text._wordnet import NounTree, noun_tree

__all__ = [
    "CallableCaptioner",
    "ClassifierBridge",
    "CommandCaptioner",
    "MiniLM",
    "NounTree",
    "TextSpace",
    "Vocabulary",
    "bridge_space",
    "can_bridge",
    "center_classifier",
    "default_vocabulary",
    "load_text_embedder",
    "noun_tree",
    "read_classifier",
    "read_vocabulary",
    "tower_space",
    "vocabulary_from",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "_bridge": ("ClassifierBridge", "bridge_space", "can_bridge", "center_classifier", "read_classifier"),
        "_captions": ("CallableCaptioner", "CommandCaptioner"),
        "_minilm": ("MiniLM", "load_text_embedder"),
        "_space": ("TextSpace", "tower_space"),
        "_wordnet": ("NounTree", "noun_tree"),
    },
)
