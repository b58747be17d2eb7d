"""TEMI, heads that learn from neighbouring pairs: the estimator, its settings, its training, the choice of β."""

from covey.cluster._temi._beta import BetaSweep, select_beta
from covey.cluster._temi._estimator import TEMI
from covey.cluster._temi._presets import PRESETS

__all__ = ["PRESETS", "TEMI", "BetaSweep", "select_beta"]
