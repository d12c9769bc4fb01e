"""The page "One step" without a browser: what is shown is the step that the run makes next, and hidden results stand nowhere."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records.step_story import questions
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.one_step import page
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun

CROWDED = RunConfig(task="clusters", n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, n_experts=4,
                    router={"name": "switch", "k": 1, "capacity_factor": 0.5}, balance_coef=0.0)  # fmt: skip
SHOWN = """
from moe_viz.ui.one_step.panels import PANELS, panel_title
import streamlit as st
st.session_state["hide_results"] = {hide}
for name, draw in PANELS.items():
    draw(st.session_state["story"])
"""


class TrainsOn(Host):
    """A host whose playing runs make three steps before each answer, as those of a busy server do."""

    def ready(self):
        return True

    def revive(self):
        pass

    def dissect(self, run_id, token, layer):
        if self._find(run_id).playing:
            self._find(run_id).trainer.run(3)
        return super().dissect(run_id, token, layer)


@pytest.fixture
def run(tmp_path, monkeypatch):
    host = TrainsOn(Trainer, RunStore(tmp_path))
    monkeypatch.setattr(watched, "engine", lambda: host)
    run = SessionRun(CROWDED, host.open(CROWDED, playing=True))
    view = page.OneStep()
    monkeypatch.setattr(page, "current", lambda: run)
    monkeypatch.setattr(page, "one_step", lambda: view)
    run.poll()
    run.view, run.host = view, host
    return run


def dropped(story):
    return page._next(story.dropped.nonzero()[0], story.token)


def test_a_dropped_one_is_dropped_in_the_step_that_is_shown(run):
    for _ in range(5):
        run.play(True)
        page.dissect_token_where(dropped)
        story = run.view.story
        assert story.dropped[story.token] and not any(route.kept for route in story.routes)


def test_the_step_made_is_the_step_that_was_shown(run):
    page.dissect_next_step(token=3)
    shown = run.view.story
    assert not run.playing, "the run waits while its next step is looked at"
    page.make_step()
    assert run.poll().snapshot.step == shown.step + 1 == run.view.story.step


def made(run, step):
    """What the step after `step` steps was when the run made it: its loss by the history, and the parameters that it left."""
    trainer = run.host._find(run.run_id).trainer
    history = trainer.history.rows(epoch=trainer.epoch)
    weight = trainer.model.moe_layers[0].router.gate.weight.detach()
    return history.set_index("step")["loss"][step + 1], weight


def test_shown_found_and_made_are_one_step(run):
    run.play(True)
    page.dissect_next_step()
    page.dissect_token_where(dropped)
    story = run.view.story
    assert story.dropped[story.token]
    page.make_step()
    loss, weight = made(run, story.step)
    row = story.router_row
    assert loss == pytest.approx(story.batch_before, rel=1e-5)
    assert float(weight[row.expert, row.component]) == pytest.approx(row.after, rel=1e-6)


def test_a_step_that_nobody_has_seen_is_not_made(run):
    page.dissect_next_step()
    run.host.step_once(run.run_id)  # by another page of the same run
    page.make_step()
    assert run.host.read(run.run_id).snapshot.step == 1 == run.view.story.step
    assert [str(notice) for notice in run.notices] == [page.GONE_ON]
    page.make_step()
    assert run.host.read(run.run_id).snapshot.step == 2 == run.view.story.step and len(run.notices) == 1


def test_a_run_that_plays_when_the_step_is_to_be_made_does_not_play_on(run):
    page.dissect_next_step()
    run.host.play(run.run_id, True)
    run.host._find(run.run_id).trainer.run(3)
    run.poll()
    page.make_step()
    assert not run.host.read(run.run_id).playing and run.view.story.step == 3


def test_a_knob_turned_while_the_run_waits_makes_the_next_step_another_one(run):
    page.dissect_next_step()
    assert not page.must_dissect(run, run.view, run.poll())
    before = run.view.story
    run.turn(balance_coef=0.5)
    assert page.must_dissect(run, run.view, run.poll())
    page.dissect_next_step()
    assert not page.must_dissect(run, run.view, run.poll()) and run.view.story.total > before.total
    page.make_step()
    assert made(run, before.step)[0] == pytest.approx(before.batch_before, rel=1e-5)


def test_opening_the_page_again_pauses_on_the_step_it_shows(run, monkeypatch):
    page.dissect_next_step()
    monkeypatch.setattr(page, "visit_number", lambda: 2)
    run.play(True)
    run.host._find(run.run_id).trainer.run(5)
    assert page.must_dissect(run, run.view, run.poll())
    page.dissect_next_step()
    assert not page.must_dissect(run, run.view, run.poll())
    assert not run.playing and run.view.is_of(run.poll()) and run.view.story.step >= 5


def test_while_the_page_stays_open_a_run_that_is_played_goes_on(run):
    page.dissect_next_step()
    run.play(True)
    run.host._find(run.run_id).trainer.run(5)
    assert not page.must_dissect(run, run.view, run.poll()) and not run.view.is_of(run.poll())


def texts(story, hide):
    at = AppTest.from_string(SHOWN.format(hide=hide), default_timeout=30)
    at.session_state["story"] = story
    at.run()
    assert not at.exception
    tables = [str(value) for table in at.table for value in table.value.to_numpy().ravel()]
    return [element.value for element in (*at.markdown, *at.caption)] + tables


@pytest.mark.parametrize(
    "router",
    [
        {"name": "switch", "k": 1, "capacity_factor": 1.25},
        {"name": "topk", "k": 2, "capacity_factor": 1.0},
        {"name": "deepseek_v3", "k": 2},
    ],
    ids=lambda router: router["name"],
)
def test_no_answer_stands_anywhere_while_results_are_hidden(router):
    trainer = Trainer(RunConfig(**CROWDED.model_dump() | {"router": router}))
    trainer.run(4)
    story = trainer.dissect(5, 0)
    shown = {"after": "{:.6g}", "total": "{:.5g}", "capacity": "{:.0f}"}  # as the panels write them
    answers = {q.name: shown.get(q.name, "{:.4g}").format(q.answer).replace("-", "−") for q in questions(story)}
    answers |= {"y1": f"{story.y[0]:.4g}".replace("-", "−")}
    places = {name: re.compile(rf"(?<![\d.]){re.escape(answer)}(?![\d])") for name, answer in answers.items()}
    open_page, hidden_page = ("\n".join(texts(story, hide)) for hide in (False, True))
    assert [name for name, place in places.items() if place.search(open_page)] == list(answers), (
        "shown where not hidden"
    )
    found = {name: place.search(hidden_page) for name, place in places.items() if name != "capacity"}
    assert [name for name, match in found.items() if match] == []
    assert f"{story.capacity} slots" not in hidden_page
