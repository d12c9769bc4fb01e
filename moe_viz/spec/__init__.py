"""Every knob of a run, declared once: `RunConfig`, each router's and each task's options, and `MixtureConfig` of the classical mixtures.

May import: nothing of moe_viz. Must not know: torch, Streamlit, or who reads a knob.
"""

from moe_viz.spec.causality import Causality, causality, causality_of
from moe_viz.spec.config import Config
from moe_viz.spec.describe import plain, problems
from moe_viz.spec.kinds import KINDS, config_of, kind_of
from moe_viz.spec.mixture import MixtureConfig
from moe_viz.spec.routers import PRESETS, ROUTER_OPTIONS, Facts, RouterOptions, router_options
from moe_viz.spec.run import RunConfig, change, changed, coarse_grained, fine_grained, needs_restart
from moe_viz.spec.tasks import TASK_OPTIONS, TaskOptions

__all__ = [
    "KINDS",
    "PRESETS",
    "ROUTER_OPTIONS",
    "TASK_OPTIONS",
    "Causality",
    "Config",
    "Facts",
    "MixtureConfig",
    "RouterOptions",
    "RunConfig",
    "TaskOptions",
    "causality",
    "causality_of",
    "change",
    "changed",
    "coarse_grained",
    "config_of",
    "fine_grained",
    "kind_of",
    "needs_restart",
    "plain",
    "problems",
    "router_options",
]
