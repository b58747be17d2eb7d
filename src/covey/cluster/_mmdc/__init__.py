"""MMDC: a network trained from nothing whose outputs match fixed targets on a sphere.

`_estimator.py` is the recipe, `_training.py` the alternation of its two tasks, `_targets.py` what outputs are pulled
to, `_pictures.py` how pixels get to the network, `_answers.py` what it says when it is trained.
"""

from covey.cluster._mmdc._estimator import MMDC

__all__ = ["MMDC"]
