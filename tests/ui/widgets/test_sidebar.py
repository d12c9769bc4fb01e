"""What stands above the picture on a phone does what the folded sidebar would do."""

from streamlit.testing.v1 import AppTest


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
