"""The live comparison of the Gates page: controls of what the runs share, and the one fragment that reads them all and draws."""

from __future__ import annotations

from typing import Any

import streamlit as st

from moe_viz.charts import side_by_side
from moe_viz.charts.load import load_over_time
from moe_viz.charts.style import MEAN
from moe_viz.engine.protocol import Update
from moe_viz.spec import ROUTER_OPTIONS, RouterOptions
from moe_viz.spec.routers import OFFERED, TokenChoice
from moe_viz.ui.gates.comparison import (
    MOST,
    Comparison,
    arrive,
    first_sequence,
    session_comparison,
    write_address,
)
from moe_viz.ui.gates.curves import draw_curves
from moe_viz.ui.gates.gallery import gallery
from moe_viz.ui.gates.tables import differences_table, downloads, numbers
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session import address
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.charts import draw_chart
from moe_viz.ui.widgets.header import head, layer_picker, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.words import in_words, show

SHARED = ("task", "n_experts", "k", "capacity_factor", "balance_coef", "speed")
WORDS = (
    "router",
    "gate",
    "top_k",
    "token_entropy",
    "load_entropy",
    "log_e",
    "load",
    "dropless",
    "dropped",
    "held_out",
    "seed",
)
SECONDS = 1.0
SECONDS_PAUSED = 2.0
CSS = """
<style>
@media (min-width: 640px) { [class*="st-key-panel_"] { min-height: 6.6rem; } }
.st-key-differences { overflow-x: auto; }
</style>
"""


def draw() -> None:
    """Gates: every router on a card, and up to four of them trained side by side."""
    theme.apply()
    st.html("<style>.st-key-part { margin-top: 0.9rem; }</style>")
    comparison = arrive()
    parts = {"compare": _("Compare live"), "gallery": _("All gates")}
    asked = address.gone_to() or (address.read() if "part" not in st.session_state else {})
    if "part" not in st.session_state or asked:
        st.session_state["part"] = asked.get("part") if asked.get("part") in parts else "compare"
    part = st.segmented_control(
        _("Part"),
        list(parts),
        format_func=parts.__getitem__,
        key="part",
        label_visibility="collapsed",
        required=True,
    )
    if part == "gallery":
        gallery(comparison)
    else:
        draw_sidebar(comparison)
        explain_link(comparison)
        live(comparison)
        glossary.words(*WORDS, key="gates")
    write_address(comparison, part or "compare")


def draw_sidebar(comparison: Comparison) -> None:
    """What is compared, and the knobs that all runs share. Options that no chosen router has are not shown."""
    reached = within_reach(
        comparison, comparison.base, comparison.turn, [word for word in ("k",) if comparison.offers(word)]
    )
    with st.sidebar:
        transport(comparison, restart=comparison.reset)
        st.session_state["routers"] = comparison.routers
        st.multiselect(
            _("Gates to compare (up to {n})").format(n=MOST),
            OFFERED,
            format_func=lambda name: show("router", name),
            max_selections=MOST,
            key="routers",
            on_change=lambda: comparison.choose(st.session_state["routers"]),
            help=_("All start from the same seed and see the same data, one step each in turn."),
        )
        for word in SHARED:
            if comparison.offers(word) and word not in reached:
                control(word, comparison.base, lambda changed: comparison.turn(changed, st.session_state[changed]))


def live(comparison: Comparison) -> None:
    """Draw the comparison and keep it ticking."""
    st.html(CSS)
    refresh.ticking(_tick, comparison.tick_s(SECONDS, SECONDS_PAUSED))


def _tick() -> None:
    refresh.begin_tick()
    comparison = session_comparison()
    comparison.poll()
    tell(comparison)
    if not comparison.routers:
        st.info(_("Choose at least one gate to compare."))
        return
    _head(comparison)
    if not comparison.latest:
        return
    _panels(comparison)
    draw_curves(comparison)
    differences_table(comparison)
    _blends(comparison)
    numbers(comparison)
    downloads(comparison)


def _head(comparison: Comparison) -> None:
    with head(max((update.snapshot.step for update in comparison.look or ()), default=None), key="still_head"):
        st.markdown(_("Same seed, same data, same start: only the gate differs."))
    comparison.layer = layer_picker("compared_layer", comparison.layer, comparison.base.n_layers)


def _panels(comparison: Comparison) -> None:
    """One column per router: what it is, its load over time, how many experts its tokens have."""
    n_experts = comparison.base.n_experts
    columns = st.columns(len(comparison.routers))
    for column, router, found, update in zip(
        columns, comparison.routers, comparison.causality, comparison.look, strict=True
    ):
        with column:
            with st.container(key=f"panel_{router}", gap="xsmall"):
                st.markdown(f"**{show('router', router)}**")
                st.caption(_settings(update))
                if not found:
                    text = _("looks at future tokens") if found.source == "gate" else _("not causal with these buffers")
                    st.markdown(f":orange-badge[:material/visibility: {text}]", help=_(found.reason))
                if update.snapshot.state in ("diverged", "failed"):
                    st.error(in_words(update.snapshot.message))
            draw_chart(
                load_over_time(update.history, comparison.layer, n_experts, _, batch=MEAN),
                f"load_{router}",
                _("Share of the routes asked of each expert, over the steps."),
            )
            draw_chart(
                side_by_side.experts_per_token(update.snapshot.traces[comparison.layer], _),
                f"experts_per_token_{router}",
                _("Share of tokens computed by no, one, two or more experts."),
            )


def _settings(update: Update) -> str:
    """The options that matter for the comparison, read from the snapshot, under this router's own names."""
    config = update.snapshot.config
    options = ROUTER_OPTIONS[config["router"]]
    parts = [f"k = {config['k']}"] if "k" in config else []
    if "capacity_factor" in config and (issubclass(options, TokenChoice) or config["capacity_factor"] is not None):
        parts.append(_named(options, config, "capacity_factor"))
    if "slots_per_expert" in config:
        parts.append(_named(options, config, "slots_per_expert"))
    return " · ".join(parts) or _("no options of its own here")


def _named(options: type[RouterOptions], config: dict[str, Any], word: str) -> str:
    return f"{_(options.model_fields[word].title)}: {show(word, config[word])}"


def _blends(comparison: Comparison) -> None:
    """The dispatch and combine weights of routers that blend tokens instead of choosing."""
    for router, update in zip(comparison.routers, comparison.look, strict=True):
        extras = update.snapshot.extras
        if "dispatch" not in extras:
            continue
        n_tokens = first_sequence(update, comparison.layer)
        st.markdown(f"**{show('router', router)}**")
        st.caption(
            _(
                "First sequence or image of the probe batch, at most {n} tokens and {m} slots; strong colour is much."
            ).format(n=side_by_side.MOST_TOKENS, m=side_by_side.MOST_SLOTS)
        )
        pictures = {
            "dispatch": _("Dispatch: what each slot is made of (columns sum to 1)"),
            "combine": _("Combine: what each token gets back (rows sum to 1)"),
        }
        for column, (name, title) in zip(st.columns(2), pictures.items(), strict=True):
            with column:
                draw_chart(
                    side_by_side.matrix(extras[name][comparison.layer], n_tokens, title, _), f"{name}_{router}", title
                )
