"""The gallery of the Gates page: one card per router, made from its declaration alone. A new router has a card by being registered."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from moe_viz.spec import PRESETS, ROUTER_OPTIONS, TASK_OPTIONS, RouterOptions, RunConfig, causality, router_options
from moe_viz.spec.describe import allowed, write
from moe_viz.spec.knobs import N_, is_live
from moe_viz.spec.routers import FAMILIES, TokenChoice
from moe_viz.spec.routers.base import CHOOSERS
from moe_viz.ui.gates.comparison import MOST, Comparison
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session.permalink import address

CAUSAL, AHEAD = N_("causal"), N_("looks at future tokens")
BADGES = {
    "differentiable": (N_("learns from the task loss"), N_("no gradient from the task")),
    "dropless": (N_("dropless possible"), N_("always limited")),
    "fixed_load": (N_("fixed load"), ""),
    "stochastic_eval": ("", N_("random at evaluation")),
}
"""Flag of the facts -> (badge where it holds, badge where it does not); "" for none. The right ones are warnings."""
EXPERTS = (8, 16, 64)


def gallery(comparison: Comparison) -> None:
    """Filters, then one card per router that passes them, family by family; a closed card is one line."""
    wanted, chosen, years = _filters()
    shown = {
        family: [name for name in names if _passes(name, wanted, years)]
        for family, names in FAMILIES.items()
        if not chosen or family in chosen
    }
    with st.container(key="gallery", gap="xsmall"):
        n = sum(map(len, shown.values()))
        st.caption(_("{n} of {all} gates").format(n=n, all=len(ROUTER_OPTIONS)))
        for family, names in shown.items():
            if names:
                st.markdown(f"##### {_(CHOOSERS[family])}")
            for name in names:
                _card(name, comparison)


def _passes(name: str, wanted: str, years: tuple[int, int]) -> bool:
    return years[0] <= ROUTER_OPTIONS[name].facts.year <= years[1] and wanted in _searched(name)


def _filters() -> tuple[str, list[str], tuple[int, int]]:
    every = [options.facts.year for options in ROUTER_OPTIONS.values()]
    left, middle, right = st.columns([2, 2, 2])
    wanted = left.text_input(_("Search"), key="gallery_search", placeholder=_("name, paper, idea, model…"))
    families = middle.multiselect(
        _("Who chooses?"),
        list(FAMILIES),
        format_func=lambda name: _(CHOOSERS[name]),
        key="gallery_families",
        placeholder=_("Any"),
    )
    years = right.slider(_("Year"), min(every), max(every), (min(every), max(every)), format="%d", key="gallery_years")
    return wanted.strip().casefold(), families, years


def _searched(name: str) -> str:
    facts = ROUTER_OPTIONS[name].facts
    parts = (
        name,
        _(facts.title),
        facts.paper,
        _(facts.idea),
        _(facts.used_by),
        _(facts.fails),
        _(CHOOSERS[facts.chooser]),
    )
    return " ".join(parts).casefold()


def _card(name: str, comparison: Comparison) -> None:
    options = ROUTER_OPTIONS[name]
    facts = options.facts
    found = causality(_usual(name), EXPERTS[0])
    future = "" if found else f" :orange-badge[{_(AHEAD)}]"
    line = f"**{_(facts.title)}** · {facts.year} · {_(facts.idea)}{future}"
    with st.expander(line, key=f"card_{name}", on_change="rerun") as card:
        if not card.open:
            return
        st.markdown(_badges(name))
        st.markdown(_causality(name))
        st.caption(facts.paper)
        if facts.formula:
            st.latex(facts.formula)
        for title, text in ((_("Used by"), facts.used_by), (_("Costs"), facts.cost), (_("Fails"), facts.fails)):
            if text:
                st.markdown(f"**{title}** · {_(text)}")
        _options(options)
        _links(name, comparison)


def _badges(name: str) -> str:
    facts = ROUTER_OPTIONS[name].facts
    ahead = not causality(_usual(name), EXPERTS[0])
    badges = [f":orange-badge[{_(AHEAD)}]" if ahead else f":gray-badge[{_(CAUSAL)}]"]
    for flag, (yes, no) in BADGES.items():
        holds = getattr(facts, flag)
        good = holds != (flag == "stochastic_eval")
        text = yes if good else no
        if text:
            badges.append(f":{'gray' if good else 'orange'}-badge[{_(text)}]")
    return " ".join([f":blue-badge[{_(CHOOSERS[facts.chooser])}]", *badges])


def _usual(name: str, **options: Any) -> RouterOptions:
    return router_options(name, **options)


def _causality(name: str) -> str:
    """Why this gate is not causal: at its defaults, or once its buffers have a limit."""
    found, options = causality(_usual(name), EXPERTS[0]), ROUTER_OPTIONS[name]
    if found:
        if not issubclass(options, TokenChoice):
            return ""
        short = causality(_usual(name, capacity_factor=1.0), EXPERTS[0])
        return _("**Causal** · Without a limit of the buffers. With one it is not: {reason}").format(
            reason=_(short.reason)
        )
    return _("**Not causal** · {reason}").format(reason=_(found.reason))


def _options(options: type[RouterOptions]) -> None:
    """The table of its options: what they are called, what they allow, what they start at."""
    fields = {word: info for word, info in options.model_fields.items() if word != "name"}
    if not fields:
        st.caption(_("No options of its own."))
        return
    lines = [" | ".join(("", _("Option"), _("Allowed"), _("Default"), "", "")).strip(), "|:--|:--|:--|:--|"]
    for word, info in fields.items():
        default = write(info.get_default(call_default_factory=True))
        live = "" if is_live(info) else " " + _("Changing it restarts the run.")
        text = f"{_(info.description or '')}{live}".replace("|", "\\|")
        lines.append(f"| **{_(info.title or word)}** `{word}` | {allowed(info, _)} | {default} | {text} |")
    st.markdown("\n".join(lines))


def _links(name: str, comparison: Comparison) -> None:
    """Into the comparison; into the lab, with its defaults or with the choices of a paper or a released model."""
    with st.container(horizontal=True, key=f"links_{name}"):
        st.link_button(_("Open in the lab"), link(name), icon=":material/science:", type="primary", key=f"open_{name}")
        st.button(
            _("Compare live"),
            icon=":material/compare:",
            key=f"compare_{name}",
            on_click=_compare,
            args=(name, comparison),
        )
        for preset, values in PRESETS.items():
            if values["name"] == name:
                options = ", ".join(f"{word} = {write(value)}" for word, value in values.items() if word != "name")
                if found := causality(example(name, values).router, example(name, values).n_experts).reason:
                    options = "  \n".join(filter(None, (options, _("Not causal: {reason}").format(reason=_(found)))))
                st.link_button(
                    _("As in {preset}").format(preset=preset.replace("_", " ")),
                    link(name, values),
                    help=options or None,
                    key=f"preset_{preset}",
                )


def _compare(name: str, comparison: Comparison) -> None:
    """Put a router among those compared, in place of the one that has been there for longest if there is no room."""
    if name not in comparison.routers:
        comparison.choose([*comparison.routers, name][-MOST:])
    st.session_state["part"] = "compare"


def link(name: str, options: dict[str, Any] | None = None) -> str:
    """A permalink to the lab with this router: on text unless later tokens come before earlier ones in it, else on images, with as few experts as its options need."""
    return address(example(name, options), language())


def example(name: str, options: dict[str, Any] | None = None) -> RunConfig:
    """The run behind `link`. Raises ValueError where the options fit no number of experts."""
    found = causality(_usual(name, **{k: v for k, v in (options or {}).items() if k != "name"}), EXPERTS[0])
    causal = found.source not in ("gate", "policy")
    task = next(task for task, about in TASK_OPTIONS.items() if about.causal == causal)
    *fewer, most = EXPERTS
    for n_experts in fewer:
        with suppress(ValueError):  # more experts may fit
            return RunConfig(task=task, router={"name": name, **(options or {})}, n_experts=n_experts)
    return RunConfig(task=task, router={"name": name, **(options or {})}, n_experts=most)
