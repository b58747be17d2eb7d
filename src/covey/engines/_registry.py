"""Engines: name to ``"module:attribute"``."""

from covey.registry import Registry

ENGINES = Registry(
    "engine",
    "covey.engines",
    {
        "inline": "covey.engines._inline:run_inline",
        "pool": "covey.engines._pool:run_pool",
    },
)
