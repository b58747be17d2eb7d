"""Subspace clustering: each row is written by few others, and who writes whom is partitioned.

`_ensc.py` and `_sscomp.py` hold a paper each, `_codes.py` what they share; `covey.cluster._spectral` partitions.
"""

from covey.cluster._subspace._codes import Codes, code_affinity
from covey.cluster._subspace._ensc import ENSC_PRESETS, EnSC, elastic_net
from covey.cluster._subspace._sscomp import SSCOMP, SSCOMP_PRESETS, matching_pursuit

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
