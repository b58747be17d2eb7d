"""Pictures go through a network in groups of one size, so that all of them meet the same kernels."""

from typing import Final

import numpy as np

from covey.types import ByteArray

GROUP: Final = 8
"""Pictures in one inference on the CPU."""


def fill_up(group: ByteArray) -> ByteArray:
    """Fill a group (n, h, w, 3) up to 8 pictures with black ones; a full one is returned as it is."""
    if len(group) == GROUP:
        return group
    filled = np.zeros((GROUP, *group.shape[1:]), dtype=np.uint8)
    filled[: len(group)] = group
    return filled
