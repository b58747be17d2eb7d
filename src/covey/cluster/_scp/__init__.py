"""SCP, a head on features of augmented views: the estimator, its settings, its checks and its training."""

from covey.cluster._scp._estimator import SCP
from covey.cluster._scp._presets import PRESETS

__all__ = ["PRESETS", "SCP"]
