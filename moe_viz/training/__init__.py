"""Training: `Trainer` is one network's run with live knobs, snapshots and checkpoints, and all that looks at it (`inspect`); `MixtureRun` is
the same for a classical mixture. What both are, a run that is a pure function of its script, is `scripted_run`.

May import: `mixtures`, `models`, `moe`, `records`, `spec`, `tasks`. Must not know: the engine, or that there is a page.
"""

from moe_viz.training.devices import resolve_device
from moe_viz.training.kinds import RUNS, runs
from moe_viz.training.mixture_run import MixtureRun
from moe_viz.training.trainer import Trainer

__all__ = ["RUNS", "MixtureRun", "Trainer", "resolve_device", "runs"]
