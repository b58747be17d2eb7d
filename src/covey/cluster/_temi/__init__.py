"""TEMI, heads that learn from neighbouring pairs: the estimator, its training, the choice of β, fine-tuning."""

from covey.cluster._temi._beta import BetaSweep, select_beta
from covey.cluster._temi._estimator import TEMI
from covey.cluster._temi._fine_tuning import FineTuned, fine_tune
from covey.cluster._temi._presets import PRESETS

__all__ = ["PRESETS", "TEMI", "BetaSweep", "FineTuned", "fine_tune", "select_beta"]
