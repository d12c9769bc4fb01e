"""Training: `Trainer` is one run, with live knobs, snapshots and checkpoints."""

from moe_viz.training.devices import resolve_device
from moe_viz.training.trainer import Trainer

__all__ = ["Trainer", "resolve_device"]
