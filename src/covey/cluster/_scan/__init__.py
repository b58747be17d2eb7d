"""SCAN, linear heads that learn from neighbours: the estimator, its settings, its checks and its training step."""

from covey.cluster._scan._estimator import SCAN
from covey.cluster._scan._presets import PRESETS

__all__ = ["PRESETS", "SCAN"]
