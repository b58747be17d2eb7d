"""MMDC: a network trained from random weights whose outputs match fixed targets on a sphere.

`_estimator.py` has the method and its published settings, `_alternation.py` the training of its two tasks in turn,
`_images.py` how pixels get to the network; the equations are in `covey.objectives.mmdc`.
"""

from covey.cluster._mmdc._estimator import MMDC, PRESETS

__all__ = ["MMDC", "PRESETS"]
