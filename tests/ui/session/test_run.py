"""A reader's run when two scripts of one session are at work at once: what one reads never undoes what the other was pressed for."""

import threading

import pytest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun
from tests.engine.fake import FakeTrainer


class Answering:
    """The engine, which does something else between reading a run and giving the answer."""

    def __init__(self, host):
        self.host, self.meanwhile = host, lambda: None

    def ready(self):
        return True

    def revive(self):
        pass

    def read(self, run):
        update = self.host.read(run)
        todo, self.meanwhile = self.meanwhile, lambda: None
        todo()
        return update

    def __getattr__(self, name):
        return getattr(self.host, name)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    engine = Answering(Host(FakeTrainer, RunStore(tmp_path)))
    monkeypatch.setattr(watched, "engine", lambda: engine)
    return engine


@pytest.fixture
def run(engine):
    config = RunConfig(task="clusters")
    run = SessionRun(config, run_id=engine.open(config))
    run.poll()
    run.changed = False
    return run


def test_a_press_is_not_undone_by_what_was_read_before_it(engine, run):
    engine.meanwhile = run.toggle
    assert run.poll().playing, "read before the press"
    assert not run.playing
    assert not run.poll().playing and not run.playing and not run.changed


def test_a_turned_knob_is_not_undone_either(engine, run):
    engine.meanwhile = lambda: run.turn(balance_coef=0.5)
    assert run.poll().snapshot.config["balance_coef"] != 0.5
    assert run.config.flat()["balance_coef"] == 0.5 and not run.changed
    run.poll()
    assert run.config.flat()["balance_coef"] == 0.5


def test_what_somebody_else_pressed_is_told_to_the_whole_page(engine, run):
    engine.play(run.run_id, False)
    engine.set(run.run_id, balance_coef=0.5)
    run.poll()
    assert not run.playing and run.config.flat()["balance_coef"] == 0.5 and run.changed


def test_two_scripts_open_one_run(engine, monkeypatch):
    both, opened = threading.Barrier(2), []

    def slow(config, playing, owner):
        opened.append(engine.host.open(config, playing=playing, owner=owner))
        both.wait(10)  # the other script comes in the middle
        both.wait(10)
        return opened[-1]

    engine.open = slow
    monkeypatch.setattr(watched, "owner", lambda: "me")
    monkeypatch.setattr(watched, "lease", lambda run: run)
    monkeypatch.setattr(SessionRun, "kept", False)
    run = SessionRun(RunConfig(task="clusters"))
    first = threading.Thread(target=run.poll)
    first.start()
    both.wait(10)
    assert run.poll() is None
    both.wait(10)
    first.join()
    assert len(opened) == 1 and run.run_id == opened[0] and run.latest is not None
