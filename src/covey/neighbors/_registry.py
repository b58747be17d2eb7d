"""Ways to find neighbors: name to ``"module:attribute"``."""

from covey.registry import Registry

NEIGHBOR_ENGINES = Registry(
    "neighbor engine", "covey.neighbors", {"exact": "covey.neighbors._exact_neighbors:ExactEngine"}
)
