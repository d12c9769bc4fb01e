"""What a check still lacks, in words: each of its terms with a sign, what it speaks of, its present value, and what is wanted."""

from __future__ import annotations

from typing import Any

from moe_viz.lessons.check_terms import Quantity, Term
from moe_viz.records.metric_info import METRICS
from moe_viz.records.numbers import MISSING, number
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _
from moe_viz.ui.words import show

TRUE, OPEN = ":material/check_circle:", ":material/radio_button_unchecked:"
OF_TASK = {
    "nmse": N_("held-out error"),
    "accuracy": N_("held-out accuracy"),
    "held_out_loss": N_("held-out loss"),
}
NAMES = {
    "steps": N_("steps since you began"),
    "step": N_("step"),
    "loss": N_("training loss"),
    "unserved": N_("tokens without an expert"),
    "asked": N_("routes asked for"),
}
SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠", "in": "∈", "not in": "∉"}


def in_words(term: Term, config: RunConfig) -> str:
    """One line of Markdown."""
    if "given." in term.text:  # its text is for the machine: it speaks of answers and of what was measured for them
        said = _("what you give, held against what is measured")
        return f":green[{TRUE}] {said}" if term.true else f"{OPEN} {said}"
    parts = ", ".join(_quantity(one, config) for one in term.quantities) or f"`{term.text}`"
    if term.rows is not None:
        parts += " · " + _("for {n} of {all} steps").format(n=min(term.rows), all=term.rows[1])
    elif term.over_rows == "ever":
        parts += " · " + _("once is enough")
    elif term.over_rows == "always":
        parts += " · " + _("at every step")
    return f":green[{TRUE}] {parts}" if term.true else f"{OPEN} {parts}"


def _quantity(one: Quantity, config: RunConfig) -> str:
    wanted = "" if one.operator is None else f" ({SIGNS[one.operator]} {_value(one, one.wanted)})"
    return f"{_name(one, config)} **{_value(one, one.present)}**{wanted}"


def _name(one: Quantity, config: RunConfig) -> str:
    if one.name.startswith("knob."):
        word = one.name.removeprefix("knob.")
        info = config.fields().get(word)
        return _(info.title) if info is not None and info.title else word
    if one.name == "task_metric":
        return _(OF_TASK[config.task.metric])
    if one.name in NAMES:
        name = _(NAMES[one.name])
    elif one.name in METRICS:
        name = _(METRICS[one.name].title)
    else:
        return f"`{one.name}`"
    where = [_("layer {n}").format(n=one.index[0] + 1)] if one.index and config.n_layers > 1 else []
    where += [_("expert {n}").format(n=expert + 1) for expert in one.index[1:]]
    return f"{name} ({', '.join(where)})" if where else name


def _value(one: Quantity, value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, list):
        return ", ".join(_value(one, item) for item in value)
    if one.name.startswith("knob."):
        return escape_markdown(show(one.name.removeprefix("knob."), value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return number(value, "d" if isinstance(value, int) else ".3g")
    return escape_markdown(value)
