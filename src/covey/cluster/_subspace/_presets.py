"""Published settings of EnSC and SSC-OMP."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

# The authors' scripts for MNIST (ChongYou/subspace-clustering at 55e330e): scattering features, PCA to 500 dimensions.
# Their tolerance is an absolute residual, here it is a squared one of unit rows.
ENSC_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"official-mnist": {"gamma": 200.0, "tau": 0.9, "n_candidates": 100, "affinity": "neighbors", "n_init": 20}}
)
"""Keywords of EnSC's constructor by the name of their source."""

SSCOMP_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"official-mnist": {"n_nonzero": 5, "tol": 1e-5, "affinity": "symmetric", "n_init": 10}}
)
"""Keywords of SSCOMP's constructor by the name of their source."""
