"""Training: `Trainer` is one run (`run.Run`) with live knobs, snapshots and checkpoints, and all that looks at it (`inspect`).

May import: `mixtures`, `models`, `moe`, `records`, `spec`, `tasks`. Must not know: the engine, or that there is a page.
"""

from moe_viz.training.devices import resolve_device
from moe_viz.training.trainer import Trainer

__all__ = ["Trainer", "resolve_device"]
