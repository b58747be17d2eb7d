"""What covey uses unless told otherwise; no imports, so that the help text can say it at once."""

from typing import Final

BACKBONE: Final = "efficientnet_lite2.in1k"
"""The better of the backbones whose weights come with the installation."""

CLUSTERER: Final = "kmeans"
"""Seconds where the others take minutes."""
