"""The part *Your own*: a system field by field or as pasted text; every number moves with what is typed, and nothing typed is lost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from moe_viz.records.numbers import MISSING, number
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.systems import SYSTEMS, Count, System, count
from moe_viz.systems.own import read_yaml, rule, write_yaml
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _
from moe_viz.ui.sizes.details import memory_table, parts_table
from moe_viz.ui.sizes.rows import ACTIVE, GB, Row, amount, fitting, own_name
from moe_viz.ui.sizes.state import Memory, Sizes
from moe_viz.ui.sizes.table import controls
from moe_viz.ui.widgets.tables import lazy

FIRST = (
    "layers",
    "d_model",
    "experts",
    "k",
    "expert_ffn",
    "shared_ffn",
    "moe_layers",
    "dense_ffn",
    "heads",
    "kv_heads",
    "head_dim",
    "vocab",
)
"""Fields in view; the others are one fold away."""
FAILED = "own_yaml_failed"
NOTHING = N_("as usual")


def draw(page: Sizes) -> None:
    """The whole part."""
    _begin(page)
    system, wrong = page.own
    with st.container(horizontal=True, key="own_fields"):
        for name in FIRST:
            field(page, name, wrong.get(name))
    others = [name for name in System.model_fields if name not in FIRST]
    hidden = [wrong[name] for name in others if name in wrong]
    with lazy(_("All other fields"), "own_more", ":material/tune:") as is_open:
        if is_open:
            with st.container(horizontal=True, key="own_more_fields"):
                for name in others:
                    field(page, name, wrong.get(name))
    for sentence in hidden:
        st.error(escape_markdown(sentence, 400))
    _as_text(page, system)
    if system is None:
        st.info(_("The numbers below come back once the marked fields can be used."))
        return
    controls(page.memory)
    _compare(page, system)


def _begin(page: Sizes) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            _("Begin from"), list(SYSTEMS), index=list(SYSTEMS).index(page.base), key=f"own_base_{page.base}"
        )
        st.button(
            _("Fill in"),
            icon=":material/edit:",
            key="own_fill",
            help=_("All fields become those of this system; what you have typed is replaced."),
            on_click=page.begin_from,
            args=(chosen,),
        )


def field(page: Sizes, name: str, wrong: str | None) -> None:
    """One field as text, and below it what is wrong with it."""
    info = System.model_fields[name]
    key = f"own_{name}"
    st.session_state[key] = page.texts.get(name, "")

    def keep() -> None:
        page.texts[name] = st.session_state[key]

    with st.container(width=200, gap="xxsmall", key=f"own_box_{name}"):
        st.text_input(
            f"{_(info.title or name)} `{name}`",
            key=key,
            help=" ".join([_(info.description or ""), _("Allowed: {rule}").format(rule=rule(name, _))]),
            placeholder=_(NOTHING),
            max_chars=200,
            on_change=keep,
        )
        if wrong:
            st.markdown(f":red[:material/error: {escape_markdown(wrong, 300)}]")


def _as_text(page: Sizes, system: System | None) -> None:
    with lazy(_("As text (YAML)"), "own_text", ":material/code:") as is_open:
        if not is_open:
            return
        if system is not None:
            st.code(write_yaml(system), language="yaml")
        st.session_state["own_yaml"] = page.yaml
        st.text_area(
            _("Paste a system here"),
            key="own_yaml",
            height=160,
            placeholder="layers: 32\nd_model: 4096\n…",
            on_change=lambda: setattr(page, "yaml", st.session_state["own_yaml"]),
        )
        st.button(_("Use this text"), key="own_use", on_click=_use, args=(page,))
        if failed := st.session_state.get(FAILED):
            st.error(escape_markdown(failed, 400))


def _use(page: Sizes) -> None:
    """The pasted text becomes the fields; where it cannot be read, it stays and says why."""
    page.yaml = st.session_state["own_yaml"]
    try:
        texts = read_yaml(page.yaml)
    except Refused as refused:
        st.session_state[FAILED] = _(refused.template).format(**refused.values)
        return
    st.session_state[FAILED] = ""
    unknown = texts.keys() - System.model_fields.keys()
    if unknown:
        st.session_state[FAILED] = _("not a field of a system: {names}").format(names=", ".join(sorted(unknown)))
        return
    page.texts = dict.fromkeys(System.model_fields, "") | texts


def _compare(page: Sizes, system: System) -> None:
    base = SYSTEMS[page.base]
    st.table(comparison(count(base), count(system), page.memory, page.base))
    left, right = st.columns(2, gap="large")
    row = Row(own_name(), system)
    left.markdown(parts_table(row))
    right.markdown(memory_table(row, page.memory))


def comparison(base: Count, own: Count, memory: Memory, name: str) -> pd.DataFrame:
    """One row for each figure: of the system that it began from, of the own one, and the change."""

    def change(old: float | None, new: float | None) -> str:
        return number(new / old - 1, "+.1%") if old and new is not None else MISSING

    def line(form: str, unit: str, old: float, new: float) -> tuple[str, str, str]:
        return f"{number(old, form)} {unit}".strip(), f"{number(new, form)} {unit}".strip(), change(old, new)

    def amounts(old: float | None, new: float | None) -> tuple[str, str, str]:
        return amount(old), amount(new), change(old, new)

    def held(c: Count) -> float:
        return c.weight_bytes(memory.bytes, memory.experts(c.system), memory.expert_bytes)

    counts = (base, own)
    figures = {
        _("all weights"): amounts(base.total, own.total),
        **{_(title): amounts(*(c.active(convention) for c in counts)) for convention, title in ACTIVE.items()},
        _("one expert"): amounts(base.per_expert, own.per_expert),
        _("FFN share"): line(".1%", "", *(c.ffn_share for c in counts)),
        _("operations a token"): line(",.4g", "GFLOP", *(c.flops_per_token / 1e9 for c in counts)),
        _("KV cache a token, 16 bits"): line(",.4g", "kB", *(c.kv_bytes_per_token(2) / 1e3 for c in counts)),
        _("weights in memory"): line(",.4g", "GB", *(held(c) / GB for c in counts)),
        _("all-to-all for each token, 16 bits"): line(
            ",.4g", "kB", *(c.all_to_all_bytes_per_token(2, memory.ranks) / 1e3 for c in counts)
        ),
        _("card that holds the weights"): (fitting(held(base)), fitting(held(own)), ""),
    }
    return pd.DataFrame.from_dict(figures, orient="index", columns=[name, own_name(), _("change")])
