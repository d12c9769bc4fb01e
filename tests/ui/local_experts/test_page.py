"""The page Local experts on a host in this process: its link, its controls, what is moved in the picture, and its sentence."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from moe_viz.engine.protocol import UnknownRun
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.spec import MixtureConfig, RunConfig
from moe_viz.spec.points import encode_points
from moe_viz.training import runs
from moe_viz.ui.local_experts import page, story
from moe_viz.ui.local_experts.scenes import ERRORS, ERUPTIONS, LAW, SCENES, scene_of
from moe_viz.ui.my_runs.description import title, words
from moe_viz.ui.session import fit, watched
from moe_viz.ui.session.fit import FitRun, address_of, from_address
from moe_viz.ui.session.permalink import is_of_others, page_of
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import Remembered
from tests.clock import Clock
from tests.ui.ready_host import ReadyHost

OWN = encode_points([(40, 60, 0), (120, 200, 0), (200, 80, 0)])


@pytest.fixture
def host(monkeypatch, tmp_path):
    clock = Clock()
    host = ReadyHost(runs, RunStore(tmp_path / "runs"), clock=clock)
    host.wait = lambda: ([setattr(clock, "now", clock.now + 0.01) or host.tick(0) for _ in range(300)], None)[1]
    monkeypatch.setattr(watched, "engine", lambda: host)
    monkeypatch.setattr(watched, "lease", lambda run_id: run_id)
    monkeypatch.setattr(watched, "owner", lambda: "reader")
    monkeypatch.setattr(fit, "lease", lambda run_id: run_id)
    known = Remembered({})
    monkeypatch.setattr(fit, "remembered", lambda: known)
    monkeypatch.setattr(st, "session_state", {})
    return host


def full(config, **knobs):
    return config.turned({"speed": "full", **knobs})


def test_a_link_brings_back_fit_settings_and_page(host):
    run = FitRun(config=full(ERUPTIONS, points=OWN))
    run.poll()
    words_of_link = address_of(run)
    again = from_address(words_of_link, FitRun, LAW)
    assert (again.config, again.run_id, again.problems) == (run.config, run.run_id, [])
    assert is_of_others(words_of_link) and page_of(run.config) == "local_experts"
    damaged = from_address({"v": "1", "data": "faithful", "error": "cooperative", "sigma": "nine"}, FitRun, ERUPTIONS)
    assert damaged.config.error == "likelihood" and {p.word for p in damaged.problems} == {"error", "sigma"}


def test_what_is_moved_in_the_picture_is_taken_once_and_the_fit_goes_on(host):
    run = FitRun(config=full(ERUPTIONS, iterations=3))
    run.poll()
    host.wait()
    run.poll()
    assert run.at_rest
    st.session_state["mixture"] = {"painted": {"points": OWN, "stamp": 1.0}}
    run.take_wishes("mixture")
    run.take_wishes("mixture")
    host.wait()
    run.poll()
    assert (
        run.config.points == OWN and len(run.picture.x) == 3 and run.latest.snapshot.step == 6 and run.latest.epoch == 0
    )
    st.session_state["mixture"] = {"painted": {"points": "<b>", "stamp": 2.0}}
    run.take_wishes("mixture")
    assert len(run.notices) == 1 and run.config.points == OWN


def test_an_earlier_iteration_stays_in_view_until_the_reader_goes_on(host):
    run = FitRun(config=full(ERUPTIONS, iterations=8))
    run.poll()
    host.wait()
    st.session_state["mixture"] = {"at": {"step": 2, "stamp": 1.0}}
    run.take_wishes("mixture")
    shown = run.poll()
    assert (run.picture.step, shown.snapshot.step) == (2, 8)
    assert page._metrics_at(run, shown)["near_expert"] == pytest.approx(shown.history["near_expert"].iloc[2])
    run.toggle()
    host.wait()
    run.poll()
    assert run.picture.step == 8 and run.latest.epoch == 1


@pytest.mark.parametrize("name", list(ERRORS))
def test_every_error_fits_and_its_sentence_says_what_happened(host, name):
    config = full(ERUPTIONS, **{**ERRORS[name].knobs, "speed": "full"})
    run = runs(config)
    run.run(60 if name == "likelihood" else 500)
    told = story.of_eruptions(run.picture(), run.snapshot().metrics, config, True)
    assert ("have parted" in told) == (name in ("competitive", "likelihood"))


@pytest.mark.parametrize(("sigma", "word"), [(0.5, "part"), (1.5, "merge")])
def test_the_law_says_on_which_side_of_it_the_fit_is(sigma, word):
    run = runs(LAW.turned({"sigma": sigma, "apart": 0.001}))
    run.run(2)
    assert word in story.of_the_law(run.snapshot().metrics, run.config)


def test_the_controls_are_three_at_most_and_the_unit_stands_only_where_it_counts():
    for config, keys in (
        (ERUPTIONS, {"picture", "error"}),
        (full(ERUPTIONS, **ERRORS["competitive"].knobs), {"picture", "error", "sigma"}),
        (LAW, {"picture", "sigma"}),
    ):
        at = AppTest.from_string(
            "from moe_viz.ui.local_experts import page\npage.controls(page._run())", default_timeout=20
        )
        at.session_state[page.STATE] = FitRun(config=config)
        at.run()
        assert not at.exception
        found = {widget.key for widget in [*at.get("button_group"), *at.select_slider, *at.slider] if widget.key}
        assert found == keys
        assert scene_of(config) in SCENES


def test_a_fit_is_named_in_my_runs_and_the_lab_does_not_take_it_for_its_own(host):
    config = MixtureConfig(data="nile", n_experts=3)
    assert page_of(config) == "local_experts" and "Nile" in title(config.flat()) and "3" in words(config.flat())
    run = SessionRun(config=RunConfig(task="clusters"), run_id=host.open(config))
    with pytest.raises(UnknownRun, match="mixture"):
        run.read(host)
