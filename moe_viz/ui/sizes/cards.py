"""The part *Cards*: one card for each published system, with its year, gate, trick, licence and claim, and its miniature in the lab."""

from __future__ import annotations

import streamlit as st

from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.systems import PUBLISHED, Published, count
from moe_viz.systems.miniature import miniature
from moe_viz.systems.table import translator
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session.permalink import address
from moe_viz.ui.sizes.details import print_of
from moe_viz.ui.sizes.rows import amount
from moe_viz.ui.words import in_words, show


def draw() -> None:
    """Filters, then the cards, from the newest; a closed card is one line."""
    said = translator(language())
    years = sorted({one.year for one in PUBLISHED.values()})
    left, right = st.columns([2, 3])
    wanted = (
        left.text_input(_("Search"), key="sizes_search", placeholder=_("name, trick, gate, licence…"))
        .strip()
        .casefold()
    )
    first, last = right.slider(_("Year"), years[0], years[-1], (years[0], years[-1]), format="%d", key="sizes_years")
    found = [one for one in PUBLISHED.values() if first <= one.year <= last and wanted in searched(one, said)]
    st.caption(_("{n} of {all} systems").format(n=len(found), all=len(PUBLISHED)))
    with st.container(key="system_cards", gap="xsmall"):
        for one in sorted(found, key=lambda one: -one.year):
            card(one)


def searched(one: Published, said) -> str:
    """All that a search looks at."""
    parts = (
        one.name,
        one.trick,
        said(one.trick),
        one.gate,
        show("router", one.gate) if one.gate else "",
        one.licence,
        one.claim,
    )
    return " ".join(parts).casefold()


def card(one: Published) -> None:
    """One system."""
    said = translator(language())
    c = count(one.system)
    size = _("{total} weights, of which a token meets {active}").format(
        total=amount(c.total), active=amount(c.active("all"))
    )
    with st.expander(
        f"**{escape_markdown(one.name)}** · {one.year} · {escape_markdown(said(one.trick))}",
        key=f"system_{_key(one)}",
        on_change="rerun",
    ) as box:
        if not box.open:
            return
        st.markdown(badges(one))
        st.markdown(titled(_("Size, as counted"), size))
        gate = show("router", one.gate) if one.gate else _("none of ours chooses and weights exactly as it does")
        st.markdown(titled(_("Gate"), escape_markdown(gate)))
        if one.claim:
            st.markdown(titled(_("Published claim, not measured here"), escape_markdown(said(one.claim), 400)))
            st.caption(escape_markdown(one.claim_source))
        st.caption(print_of(one))
        small = miniature(one.name)
        st.link_button(
            _("Open in the lab"),
            address(small.config, language()),
            icon=":material/science:",
            type="primary",
            key=f"open_system_{_key(one)}",
            help=ROUTER_OPTIONS[small.config.router.name].facts.title,
        )
        st.markdown(
            _("A miniature with its own choices: gate **{gate}**, {n} experts, k = {k}. What it cannot have:").format(
                gate=escape_markdown(show("router", small.config.router.name)),
                n=small.config.n_experts,
                k=getattr(small.config.router, "k", 1),
            )
        )
        st.markdown("\n".join(f"- {escape_markdown(in_words(sentence), 300)}" for sentence in small.lacks))


def titled(title: str, text: str) -> str:
    return f"**{title}** · {text}"


def badges(one: Published) -> str:
    """Licence of the weights, and whether a version that follows instructions is public."""
    said = translator(language())
    licence = f":{'blue' if one.released else 'orange'}-badge[{escape_markdown(said(one.licence))}]"
    tuned = _("instruction-tuned version") if one.instruct else _("no instruction-tuned version")
    return f"{licence} :gray-badge[{escape_markdown(tuned)}]"


def _key(one: Published) -> str:
    """Its name as part of a widget's key, which is a CSS class, too."""
    return "".join(c if c.isalnum() else "_" for c in one.name)
