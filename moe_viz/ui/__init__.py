"""Streamlit glue: one folder a page, and what pages share in `server`, `session` and `widgets`.

May import: `charts`, `components`, `engine`, `lessons`, `records`, `spec`, `systems`. Must not know: torch, or any side of the engine but its client.
"""
