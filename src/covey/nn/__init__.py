"""Modules and training parts that several methods share: heads, moving averages, scaling, schedules.

Tensors in, tensors out; nothing here knows an objective or an estimator.
"""

from covey.nn.augment import center_crop, flip_and_shift, jitter_colors, quarter_turns, random_crop, to_grayscale
from covey.nn.code_heads import CodeHeads, LinearCodeHeads
from covey.nn.convnets import ResNet18, SmallVGG, SobelFilter, Trunk, TwoHeadedConvNet
from covey.nn.heads import StackedHeads, update_average
from covey.nn.linear import LinearHeads
from covey.nn.mlp import Activation, ClusterMLP, ClusterMLPHeads, Norm
from covey.nn.scaling import FeatureScaling
from covey.nn.schedules import Schedule, learning_rate_schedule

__all__ = [
    "StackedHeads",
    "LinearHeads",
    "CodeHeads",
    "LinearCodeHeads",
    "ClusterMLP",
    "ClusterMLPHeads",
    "Activation",
    "Norm",
    "FeatureScaling",
    "update_average",
    "flip_and_shift",
    "random_crop",
    "center_crop",
    "jitter_colors",
    "quarter_turns",
    "to_grayscale",
    "TwoHeadedConvNet",
    "ResNet18",
    "SmallVGG",
    "SobelFilter",
    "Trunk",
    "Schedule",
    "learning_rate_schedule",
]
