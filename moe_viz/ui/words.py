"""What the engine says, and the values of knobs, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moe_viz.engine.protocol import EngineError
from moe_viz.records.numbers import number
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, causality_of
from moe_viz.spec.knobs import N_
from moe_viz.spec.mixture import DATA
from moe_viz.spec.sentence import Knobs, Sentence
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, is_ours

LONGEST_SENTENCE = 500
"""Characters of a refusal that are shown."""


def in_words(message: EngineError | Sentence | str) -> str:
    """What the engine said as Markdown in the reader's language: errors and sentences carry a template and its values.

    Only a template with values is ours alone; everything else may hold what somebody typed, so nothing in it is interpreted.
    """
    is_template = isinstance(message, EngineError | Sentence)
    if is_template and message.values:
        shown = {name: _in_words(value) for name, value in message.values.items()}
        return _(message.template).format(**shown)
    text = message.template if is_template else message
    return _(text) if is_ours(text) else escape_markdown(text, LONGEST_SENTENCE)


def _in_words(value: Any) -> Any:
    if isinstance(value, Knobs):
        return ", ".join(
            Knobs.write(_(title), *(_(value) if is_ours(value) else escape_markdown(value) for value in values))
            for title, *values in value.parts
        )
    if isinstance(value, Sentence):
        return in_words(value)
    return escape_markdown(value) if isinstance(value, str) else value


# fmt: off
CHOICES = (
    N_("batch"), N_("sequence"), N_("global"), N_("auto"), N_("cpu"), N_("cuda"), N_("mps"), N_("bytes"), N_("bpe"), N_("ceil"),
    N_("floor"), N_("round"), N_("position"), N_("probability"), N_("random"), N_("batch priority"), N_("reroute"),
    N_("before drop"), N_("after drop"), N_("never"), N_("softmax"), N_("sigmoid"), N_("sampling"), N_("all"), N_("top2"),
    N_("max"), N_("levels"), N_("convex"), N_("gate"), N_("learned"), N_("mean"), N_("none"), N_("cosine"), N_("euclidean"),
    N_("balanced"), N_("token"), N_("average"), N_("moons"), N_("rings"), N_("checker"), N_("spiral"), N_("waves"),
    N_("straight"), N_("curved"), N_("constant gaussian"), N_("linear gaussian"), N_("laplace"), N_("student t"), N_("gaussian"),
    N_("exponential"), N_("likelihood"), N_("competitive"), N_("localised"), N_("cooperative"), N_("em"), N_("hard em"), N_("adam"),
    N_("ascent"), N_("points"),
)
# fmt: on
"""The words a knob can be set to, as `show` writes them: they are data in `spec`, so only this list can mark them for translation."""


ROUNDINGS = {"ceil": N_("rounded up"), "floor": N_("rounded down"), "round": N_("rounded")}
POLICIES = {
    "position": N_("first come, first served"),
    "probability": N_("highest gate first"),
    "random": N_("in random order"),
    "batch_priority": N_("surest tokens first"),
    "reroute": N_("first come; who finds no slot tries the next best expert"),
}
EXPLAINED = {"drop_policy": POLICIES, "capacity_rounding": ROUNDINGS}
"""Knobs whose words say little by themselves -> what is shown in their place."""


def percent(share: float, digits: int = 0) -> str:
    """A share as sentences have it: a narrow space that no line ends at before the sign."""
    return f"{100 * share:.{digits}f}\u202f%"


def show(word: str, value: Any) -> str:
    """A value as the reader sees it on its control."""
    if word == "capacity_factor" and value is None:
        return _("dropless")
    if word == "speed":
        return (
            _("full") if value == "full" else (_("by step") if value == 0 else _("{n}/s").format(n=number(value, "g")))
        )
    if word == "router":
        return _(ROUTER_OPTIONS[value].facts.title)
    if word == "task":
        return _(TASK_OPTIONS[value].title)
    if word == "data":
        return _(DATA[value].title)
    if value in EXPLAINED.get(word, {}):
        return _(EXPLAINED[word][value])
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, float):
        return number(value, "g")
    return _(str(value).replace("_", " ")) if isinstance(value, str) else str(value)


def about(config: Mapping[str, Any], translate: Callable[[str], str]) -> str:
    """Which gate made a picture: read from its snapshot, not from the controls."""
    options = ROUTER_OPTIONS[config["router"]]
    parts = [translate(options.facts.title)]
    if "k" in config:
        parts.append(f"k = {config['k']}")
    parts.append(translate(N_("{n} experts")).format(n=config["n_experts"]))
    if config["task"] == "domains" and (found := causality_of(config)).source:
        future, buffers = N_("looks at future tokens: not usable for writing text"), N_("not causal with these buffers")
        parts.append(translate(future if found.source == "gate" else buffers))
    return " · ".join(parts)


def loss_now(loss: float | None, translate: Callable[[str], str]) -> str:
    """The loss of a snapshot; a missing one is a dash, never 0."""
    return translate(N_("loss {loss}")).format(loss=number(loss, ".3f"))
