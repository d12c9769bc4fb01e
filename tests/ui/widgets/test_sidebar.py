"""What stands above the picture on a phone does what the folded sidebar would do."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.spec.knobs import is_live
from moe_viz.ui.session import run as session_run
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.sidebar import FIRST, in_view


def page():
    import streamlit as st

    from moe_viz.spec import RunConfig
    from moe_viz.ui.session.run import SessionRun
    from moe_viz.ui.widgets.sidebar import draw_sidebar

    if "run" not in st.session_state:
        st.session_state["run"] = SessionRun(RunConfig(task="clusters", router="topk"))
    draw_sidebar(st.session_state["run"])


def test_play_step_gate_and_k_act_from_above_the_picture():
    at = AppTest.from_function(page).run()
    run = at.session_state["run"]
    keys = [widget.key for widget in (*at.selectbox, *at.select_slider)]
    assert "router" in keys and "reach_router" not in keys, (
        "folded, there is no second control that could turn a knob back"
    )
    at.session_state["reach_more"] = True
    at.run()
    keys = [widget.key for widget in (*at.selectbox, *at.select_slider)]
    assert {"reach_router", "reach_k"} <= set(keys) and not {"router", "k"} & set(keys), (
        "one control of a word at any time"
    )
    at.select_slider(key="reach_k").set_value(1).run()
    assert run.config.router.k == 1
    at.selectbox(key="reach_router").set_value("deepseek_v3").run()
    assert run.config.router.name == "deepseek_v3"
    at.button(key="reach_play").click().run()
    assert not run.playing and at.button(key="reach_play").label == "Play"
    at.selectbox(key="reach_router").set_value("expert_choice").run()
    assert not [slider for slider in at.select_slider if slider.key == "reach_k"], "this gate has no k"


def test_the_knobs_in_view_stand_in_three_groups_in_the_order_of_a_token():
    shown = {key: words for key, _title, words in in_view(RunConfig(task="clusters", router="topk", n_experts=8))}
    assert list(shown) == ["pace", "data", "gate", "pressure"]
    assert shown["data"][0] == "task" and shown["gate"][:3] == ["router", "k", "n_experts"]
    assert shown["pressure"] == ["capacity_factor", "balance_coef"]
    assert set(FIRST) <= {word for words in shown.values() for word in words}


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_no_knob_is_lost_or_stands_twice(router):
    for task in TASK_OPTIONS:
        config = RunConfig.from_flat({"task": task, "router": router, "n_experts": 16})
        listed = [word for _key, _title, words in in_view(config) for word in words]
        assert len(set(listed)) == len(listed) and set(listed) <= config.fields().keys()
        basic = {word for word, info in config.fields().items() if info.json_schema_extra["level"] == "basic"}
        assert basic <= set(listed)


def test_what_restarts_the_run_says_so_beside_its_name_and_nothing_else_does():
    at = AppTest.from_function(page).run()
    at.session_state["more_knobs"] = True
    at.run()
    fields = RunConfig(task="clusters", router="topk").fields()
    seen = 0
    for kind in ("selectbox", "select_slider", "number_input", "toggle"):
        for widget in at.get(kind) if kind != "toggle" else at.toggle:
            if widget.key in fields:
                seen += 1
                marked = widget.label.endswith("↻ restarts")
                assert marked == (not is_live(fields[widget.key])), widget.key
                assert marked == ("Changing it restarts the run." in widget.help), widget.key
    assert seen > 20


def styles(at):
    return " ".join(each.proto.body for each in at.get("html"))


def test_a_knob_that_a_switch_of_the_gate_turns_along_flashes_and_no_other(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session_run.time, "monotonic", lambda: now[0])
    at = AppTest.from_function(page).run()
    assert "moe-viz-turned" not in styles(at)
    at.selectbox(key="router").set_value("switch").run()
    (flash,) = re.findall(r":is\(([^)]+)\) \{ animation: moe-viz-turned-1 ", styles(at))
    assert flash == ".st-key-k, .st-key-reach_k, .st-key-more_knobs", (
        "k, and the renormalising of gates that lies in the fold"
    )
    assert "prefers-reduced-motion: no-preference" in styles(at)
    at.selectbox(key="router").set_value("topk").run()
    assert "moe-viz-turned-0 " in styles(at), "under another name, so that it begins anew"
    now[0] += session_run.FLASH_S
    assert "moe-viz-turned" not in styles(at.run())


def test_a_turned_knob_behind_the_fold_has_the_fold_flash():
    at = AppTest.from_function(page)
    at.session_state["run"] = SessionRun(RunConfig(task="clusters", router={"name": "topk", "noise": 0.5}))
    at.run().selectbox(key="router").set_value("mixtral").run()
    assert ":is(.st-key-more_knobs)" in styles(at)
