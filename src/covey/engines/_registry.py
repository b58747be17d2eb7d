"""Engines: name to ``"module:attribute"``."""

from covey.registry import Registry

ENGINES = Registry("engine", "covey.engines", {"inline": "covey.engines._engine:run_inline"})
