"""Lessons and guided scenes: what is taught, as data."""
