"""The web side of the engine: `engine()` is the one that all sessions share."""

from moe_viz.engine.client.local import LocalEngine, engine, home

__all__ = ["LocalEngine", "engine", "home"]
