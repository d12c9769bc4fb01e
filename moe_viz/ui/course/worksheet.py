"""A lesson on paper: what the course page prints. Tasks, the prediction's choices to tick, and lines to write on; nothing that gives an answer away."""

from __future__ import annotations

from html import escape

import streamlit as st

from moe_viz.lessons.model import Lesson
from moe_viz.ui.i18n import _

LINES = 3
CSS = """
<style>
.worksheet { color: #000; background: #fff; font-size: 11pt; line-height: 1.4; }
.worksheet h1 { font-size: 16pt; margin: 0 0 4pt; } .worksheet h2 { font-size: 12.5pt; margin: 12pt 0 3pt; }
.worksheet section { break-inside: avoid; } .worksheet p { margin: 3pt 0; } .worksheet ul { list-style: none; margin: 3pt 0; padding: 0; }
.worksheet hr { border: 0; border-bottom: 0.5pt solid #666; margin: 17pt 0 0; }
</style>
"""


def draw(lesson: Lesson) -> None:
    """Not seen on the screen; on paper it is all there is."""
    with st.container(key="worksheet"):
        st.html(CSS + html(lesson))


def html(lesson: Lesson) -> str:
    """The sheet. What lessons say is escaped: a sheet of paper has no Markdown."""
    name, date = escape(_("Name")), escape(_("Date"))
    expect, task = escape(_("What do you expect?")), escape(_("Task"))
    notes = escape(_("What I did, what was measured, and why I think so:"))
    parts = [
        f"<h1>{lesson.number}. {_plain(lesson.title)}</h1>",
        f"<p>{name}: ______________________ &nbsp; {date}: ____________</p>",
        f"<p>{_plain(lesson.goal)}</p>",
    ]
    lines = "<hr>" * LINES
    for one in lesson.exercises:
        options = "".join(f"<li>☐ {_plain(option)}</li>" for option in one.prediction.options)
        parts.append(
            f"<section><h2>{one.id} {_plain(one.title)}</h2>"
            f"<p><b>{expect}</b> {_plain(one.prediction.question)}</p><ul>{options}</ul>"
            f"<p><b>{task}</b> {_plain(one.task)}</p><p>{notes}</p>{lines}</section>"
        )
    for number, question in enumerate(lesson.quiz, 1):
        options = "".join(f"<li>☐ {_plain(option)}</li>" for option in question.options)
        parts.append(f"<section><p><b>{number}.</b> {_plain(question.question)}</p><ul>{options}</ul></section>")
    return f'<div class="worksheet">{"".join(parts)}</div>'


def _plain(text: str) -> str:
    return escape(text.replace("**", "").replace("*", ""))
