"""EfficientNet-Lite: the architecture as data, and its weights folded into it.

The network is one list of convolutions. Batch normalization is folded into them when the weights are read, so that each
runtime (`_openvino`, `_eager`) is a single loop over that list.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from covey.types import FloatArray

N_CLASSES: Final = 1000

# EfficientNet-B0, table 1 of the paper: repeats, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """One convolution of the architecture, by its names in the weights file.

    Attributes
    ----------
    name, norm : str
        Of the convolution and of the batch normalization after it.
    kernel, stride : int
        In pixels.
    n_in, n_out, groups : int
        Channels; as many groups as channels is a depthwise convolution.
    is_clipped : bool
        Whether ReLU6 follows.
    skip_from : int or None
        Index of the convolution whose input is added to this one's output.
    """

    name: str
    norm: str
    kernel: int
    stride: int
    n_in: int
    n_out: int
    groups: int = 1
    is_clipped: bool = True
    skip_from: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ConvLayer:
    """A convolution with its normalization folded in.

    Attributes
    ----------
    spec : ConvSpec
        Its place in the network.
    weight : ndarray of shape (n_out, n_in / groups, kernel, kernel), dtype float32
        Filters.
    bias : ndarray of shape (n_out,), dtype float32
        Added to the output.
    """

    spec: ConvSpec
    weight: FloatArray
    bias: FloatArray


def architecture(width: float, depth: float) -> list[ConvSpec]:
    """List the convolutions of EfficientNet-Lite.

    Parameters
    ----------
    width, depth : float
        Multipliers of channels and repeats.

    Returns
    -------
    convs : list of ConvSpec
        From stem to head.

    Notes
    -----
    Tan and Le (2019), table 1 and section 3.3: stages of inverted bottlenecks (Sandler et al. 2018, arXiv:1801.04381).
    Lite departs from it: ReLU6 for swish, no squeeze-and-excitation, and stem, head and the repeats of the first and
    last stage are not scaled.
    """
    convs = [ConvSpec("_conv_stem", "_bn0", 3, 2, 3, _STEM)]
    n_in, block = _STEM, 0
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        n_out = _scale_channels(channels, width)
        is_scaled = 0 < stage < len(_STAGES) - 1
        for repeat in range(math.ceil(repeats * depth) if is_scaled else repeats):
            start = len(convs)
            step = stride if repeat == 0 else 1
            convs.extend(_bottleneck(f"_blocks.{block}.", kernel, step, expansion, (n_in, n_out)))
            if repeat > 0:  # same stride and channels: the block's input is added to its output
                convs[-1] = replace(convs[-1], skip_from=start)
            n_in, block = n_out, block + 1
    return [*convs, ConvSpec("_conv_head", "_bn1", 1, 1, n_in, _HEAD)]


def _bottleneck(prefix: str, kernel: int, stride: int, expansion: int, channels: tuple[int, int]) -> Iterator[ConvSpec]:
    """Yield a block's convolutions: expand each pixel, filter each channel, project each pixel."""
    n_in, n_out = channels
    n_hidden = n_in * expansion
    if expansion > 1:
        yield ConvSpec(f"{prefix}_expand_conv", f"{prefix}_bn0", 1, 1, n_in, n_hidden)
    yield ConvSpec(f"{prefix}_depthwise_conv", f"{prefix}_bn1", kernel, stride, n_hidden, n_hidden, groups=n_hidden)
    yield ConvSpec(f"{prefix}_project_conv", f"{prefix}_bn2", 1, 1, n_hidden, n_out, is_clipped=False)


def _scale_channels(channels: int, width: float) -> int:
    """Multiply a number of channels, rounding to a multiple of 8 that is at least nine tenths of the product."""
    scaled = max(8, int(channels * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * channels * width else scaled


def expected_shapes(convs: list[ConvSpec]) -> dict[str, tuple[int, ...]]:
    """Name every tensor that a weights file of this architecture holds, with its shape."""
    shapes: dict[str, tuple[int, ...]] = {"_fc.weight": (N_CLASSES, _HEAD), "_fc.bias": (N_CLASSES,)}
    for conv in convs:
        shapes[f"{conv.name}.weight"] = (conv.n_out, conv.n_in // conv.groups, conv.kernel, conv.kernel)
        shapes |= {f"{conv.norm}.{part}": (conv.n_out,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes


def fold(conv: ConvSpec, weights: Mapping[str, FloatArray]) -> ConvLayer:
    """Fold a batch normalization into the convolution before it: one multiplication and one addition less per pixel."""
    scale = weights[f"{conv.norm}.weight"] / np.sqrt(weights[f"{conv.norm}.running_var"] + _BATCH_NORM_EPS)
    weight = weights[f"{conv.name}.weight"] * scale[:, None, None, None]
    bias = weights[f"{conv.norm}.bias"] - weights[f"{conv.norm}.running_mean"] * scale
    return ConvLayer(conv, weight.astype(np.float32), bias.astype(np.float32))
