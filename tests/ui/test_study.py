"""When the page Experts looks at its run by itself."""

from types import SimpleNamespace

import pytest

from moe_viz.ui import study as module
from moe_viz.ui.session import LabRun
from moe_viz.ui.study import YOUNG, Study


@pytest.fixture
def looks(monkeypatch):
    """The steps at which the engine was asked to analyse; `looks.now` is the run's."""
    looks = SimpleNamespace(at=[], now=1)

    def analyse(run):
        looks.at.append(looks.now)
        return SimpleNamespace(step=looks.now)

    monkeypatch.setattr(module, "engine", lambda: SimpleNamespace(analyse=analyse))
    return looks


def until(step, seen, looks):
    run = LabRun(config=None, run="x" * 22)
    for now in range(looks.now, step + 1):
        looks.now = now
        seen.watch(run, now)


def test_a_young_run_is_looked_at_again_when_it_has_doubled_its_steps(looks):
    until(5000, Study(), looks)
    assert looks.at == [1, 10, 20, 40, 80, 160, 320] and looks.at[-2] < YOUNG <= looks.at[-1]


@pytest.mark.parametrize("resting", [{"frozen_router": True}, {"ablations": {("learned", 0): object()}}])
def test_not_while_something_rests_on_the_present_look(looks, resting):
    seen = Study()
    until(1, seen, looks)
    for word, value in resting.items():
        setattr(seen, word, value)
    until(5000, seen, looks)
    assert looks.at == [1]


def test_a_refusal_is_not_asked_again(looks):
    until(50, Study(refusal="no"), looks)
    assert looks.at == []
