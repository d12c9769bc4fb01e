"""Lessons and guided scenes: what is taught, as data.

May import: `records`, `spec`. Must not know: how a run is trained or drawn.
"""
