"""Subspace clustering: each row is written by few others, and who writes whom is partitioned.

`_elastic_net.py` and `_pursuit.py` find the codes, `_affinity.py` makes a graph of them, `covey.cluster._spectral`
partitions it.
"""

from covey.cluster._subspace._affinity import code_affinity
from covey.cluster._subspace._codes import Codes
from covey.cluster._subspace._elastic_net import elastic_net
from covey.cluster._subspace._ensc import EnSC
from covey.cluster._subspace._presets import ENSC_PRESETS, SSCOMP_PRESETS
from covey.cluster._subspace._pursuit import matching_pursuit
from covey.cluster._subspace._sscomp import SSCOMP

__all__ = [
    "ENSC_PRESETS",
    "SSCOMP",
    "SSCOMP_PRESETS",
    "Codes",
    "EnSC",
    "code_affinity",
    "elastic_net",
    "matching_pursuit",
]
