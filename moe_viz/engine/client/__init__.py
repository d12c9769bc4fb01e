"""The web side of the engine: starts the training process, carries calls to it and hands the answers back; `engine()` is shared by all.

It may import `protocol`, `limits` and `health`. It must not know how a run trains or is stored: no torch, no worker, no storage.
"""

from moe_viz.engine.client.local import LocalEngine, engine, home

__all__ = ["LocalEngine", "engine", "home"]
