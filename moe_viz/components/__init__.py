"""Live canvas views as Streamlit components. Python packs a record into a small payload; JavaScript and CSS are in assets/components.

May import: `charts`, `records`, `spec`. Must not know: the engine, sessions, pages.
"""

from moe_viz.components.pack import pack, routing_table
from moe_viz.components.routing import routing_view

__all__ = ["pack", "routing_table", "routing_view"]
