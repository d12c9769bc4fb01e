"""Lessons and guided scenes: what is taught, as data; the checks of its exercises.

May import: `records`, `spec`. Must not know: how a run is trained or drawn.
"""

from moe_viz.lessons.check_parser import CheckError
from moe_viz.lessons.check_terms import terms
from moe_viz.lessons.checks import check, solved
from moe_viz.lessons.model import LessonError, find, load

__all__ = ["CheckError", "LessonError", "check", "find", "load", "solved", "terms"]
