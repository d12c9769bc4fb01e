"""Every router can be chosen in the lab while a run is alive: the page draws it, and the sidebar shows its options and no others."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.client import engine
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.ui.widgets.sidebar import first

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOE_VIZ_HOME", str(tmp_path_factory.mktemp("home")))
        at = AppTest.from_file("../../../pages/lab.py", default_timeout=60)
        engine()._alive().started.result(90)
        at.session_state["more_knobs"] = True
        yield at.run()
        engine().close()


def drawn(lab):
    return {widget.key for kind in ("select_slider", "selectbox", "number_input", "toggle") for widget in lab.get(kind)}


def test_closed_more_knobs_cost_nothing(lab):
    lab.session_state["more_knobs"] = False
    assert drawn(lab.run()) & set(lab.session_state["lab_run"].config.flat()) == set(
        first(lab.session_state["lab_run"].config)
    )
    lab.session_state["more_knobs"] = True
    assert {"lr", "seed", "d_model"} <= drawn(lab.run())


def test_all_routers_one_after_another(lab):
    words = {word for options in ROUTER_OPTIONS.values() for word in options.model_fields} - {"name"}
    for router in ROUTER_OPTIONS:
        lab.selectbox(key="router").set_value(router).run()
        run = lab.session_state["lab_run"]
        said = [text for _when, text in lab.session_state["notices"].lines]
        ours = ("Switched", "The new gate also changes")
        assert not lab.exception and not run.lost and all(text.startswith(ours) for text in said), (router, said)
        assert run.latest.snapshot.config["router"] == router
        engine().step_once(run.run_id)
        assert run.poll().snapshot.state in ("running", "paused"), router
        assert run.latest.snapshot.traces[0].router == router
        assert drawn(lab) & words == set(run.config.router.model_fields) - {"name"}, router


def test_experts_can_be_split_and_joined_again(lab):
    lab.selectbox(key="router").set_value("topk").run()
    before = lab.session_state["lab_run"].config
    for key, times in (("finer", 2), ("coarser", 1)):
        lab.button(key=key).click().run()
        run = lab.session_state["lab_run"]
        config = run.poll().snapshot.config
        assert not lab.exception and config == run.config.flat()
        assert (config["n_experts"], config["k"]) == (before.n_experts * times, before.router.k * times)
        assert config["d_hidden"] * times == before.d_hidden
    lab.selectbox(key="router").set_value("switch").run()
    assert lab.button(key="finer").disabled and lab.button(key="coarser").disabled, "switch chooses one"
