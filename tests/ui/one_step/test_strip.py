"""The figures of the strip: the cards' numbers, none where results are hidden, and words for every router that has none."""

import pytest

from moe_viz.components.step_strip import pack_story
from moe_viz.records.step_story import questions
from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.one_step import panels, strip
from tests.ui.one_step.test_panels import GATES, stands_in, story_of


@pytest.fixture
def hide(monkeypatch):
    def switch(on):
        monkeypatch.setattr(panels.st, "session_state", {panels.HIDE: on})

    switch(False)
    return switch


@pytest.mark.parametrize("router", GATES.values(), ids=GATES)
def test_the_figures_are_the_cards_numbers_and_hidden_results_stand_in_none(hide, router):
    story = story_of(router)
    shown = strip.figures(story)
    assert list(shown) == list(pack_story(story))
    if story.routes and story.logits is not None:
        e = story.routes[0].expert
        assert shown["scores"] == f"p{e + 1} = {panels.n(story.probs[e], 3)}"
        assert str(e + 1) in shown["choice"]
        assert shown["gradient"] == f"dL/dℓ{e + 1} = {panels.n(story.dlogits[e], 3)}"
        assert shown["expert"] == f"{story.routes[0].active} of {story.routes[0].hidden} units"
    if len(story.routes) == 1 and story.capacity is not None:
        assert shown["slot"] == f"slot {story.routes[0].place + 1} of {story.capacity}"
    hide(True)
    concealed = " ".join(strip.figures(story).values())
    for question in questions(story):
        answer = str(int(question.answer)) if question.form == "d" else panels.n(question.answer, 3)
        assert question.name == "capacity" or not stands_in(answer, concealed), question.name
    assert "slot" not in strip.figures(story)["slot"]


def test_a_dropped_token_says_so(hide):
    trainer = Trainer(RunConfig(task="clusters", router={"name": "switch", "capacity_factor": 0.5}, n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, device="cpu"))  # fmt: skip
    story = trainer.dissect(int(trainer.dissect(0, 0).dropped.argmax()), 0)
    assert strip.figures(story)["slot"] == "dropped" and strip.figures(story)["sum"] == "|y| = 0"


@pytest.mark.parametrize("name", ROUTER_OPTIONS)
def test_every_router_has_a_word_at_every_station(hide, name):
    story = story_of({"name": name})
    assert all(text.strip() for text in strip.figures(story).values())
    assert len(pack_story(story)) == 7
