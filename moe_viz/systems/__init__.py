"""How large Mixture-of-Experts systems are: published ones as data with sources, and the arithmetic of their parameters, FLOPs and bytes.

May import: `records`, `spec`. Must not know: torch, Streamlit, or which page asks.
"""

from moe_viz.systems.count import Count, count
from moe_viz.systems.system import System
from moe_viz.systems.table import PUBLISHED, SYSTEMS, Published

__all__ = ["PUBLISHED", "SYSTEMS", "Count", "Published", "System", "count"]
