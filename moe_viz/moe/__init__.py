"""The mixture-of-experts layer: routers, experts, and the one dispatch that joins them. It could be published alone.

May import: `spec`. Must not know: models, tasks, training, or who looks at a routing.
"""

from moe_viz.moe.experts import Experts
from moe_viz.moe.layer import MoELayer
from moe_viz.moe.routers import ROUTERS, Router, TokenChoiceRouter, make_router, router_from
from moe_viz.moe.routing import Routing, SoftRouting, SparseRouting

__all__ = [
    "ROUTERS",
    "Experts",
    "MoELayer",
    "Router",
    "Routing",
    "SoftRouting",
    "SparseRouting",
    "TokenChoiceRouter",
    "make_router",
    "router_from",
]
