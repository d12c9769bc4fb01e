"""Live canvas views as Streamlit components. Python packs a record into a small payload; the JavaScript and CSS live in assets/components."""

from moe_viz.components.pack import pack, routing_table
from moe_viz.components.routing import routing_view

__all__ = ["pack", "routing_table", "routing_view"]
