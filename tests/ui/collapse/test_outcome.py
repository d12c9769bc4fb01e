"""What the collapse page says of an act never says more than what is measured beside it."""

import pytest

from moe_viz.lessons.scenes import SCENES, Act, Watch
from moe_viz.records.metrics import dead_experts, is_dead
from moe_viz.ui.collapse import outcome
from moe_viz.ui.collapse.run import Entry
from tests.lessons.test_scenes import rows


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(outcome, "_", str)


def told(dead, steps=60, start=0, goal="healthy"):
    watch = Watch(Act("a", "", "", {}, goal, 60), 0, start, 8)
    watch.feed(rows(start + 1, [dead] * steps, [0.2] * steps))
    return outcome.outcome(Entry(watch, True))


def test_no_collapse_with_a_dead_expert_is_not_green():
    assert ":green[" in told(0) and "never an expert dead" in told(0)
    assert ":green[" not in told(1) and "1 of 8 experts were dead" in told(1)


def test_a_young_run_is_not_said_to_have_dead_experts():
    assert "dead" not in told(5, steps=9) and "5 of 8 experts are dead" in told(5, steps=10)
    assert "5 of 8 experts are dead" in told(5, steps=1, start=80, goal="rescued")


def test_a_run_of_several_layers_says_that_the_worst_one_is_meant():
    assert "worst off" in told(1)


def test_no_card_promises_that_the_load_is_shared_or_healthy():
    for scene in SCENES.values():
        assert "healthy" not in scene.healthy.title.lower() and "load stays shared" not in scene.healthy.text


def test_dead_has_one_definition():
    load = [0.0124, 0.0126, *[0.975 / 6] * 6]
    assert is_dead(load).tolist() == dead_experts([load]).tolist() == [True, *[False] * 7]
