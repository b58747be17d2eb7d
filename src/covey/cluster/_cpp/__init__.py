"""CPP, a representation and a membership by rate reduction: the estimator, its settings, training, spectral step."""

from covey.cluster._cpp._estimator import CPP
from covey.cluster._cpp._nested import nested_labels
from covey.cluster._cpp._presets import PRESETS

__all__ = ["CPP", "PRESETS", "nested_labels"]
