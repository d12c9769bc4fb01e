"""Every page watches its runs in one way: what each kind does when a run is lost, gone, refused, or the server is full. No page, no waiting."""

from types import SimpleNamespace

import pytest

from moe_viz.engine.protocol import EngineError, Full, RunRefused, UnknownRun, WorkerLost
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.lessons.scenes import SCENES
from moe_viz.spec import RunConfig
from moe_viz.ui.collapse.run import SceneRun
from moe_viz.ui.gate_map.page import PlaneRun
from moe_viz.ui.gates.comparison import Comparison
from moe_viz.ui.session import page_state, run_cookie, watched
from moe_viz.ui.session import run as session
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import Remembered
from moe_viz.ui.time_machine.sources import BranchRun
from moe_viz.ui.twins.runs import Twins
from tests.engine.fake import FakeTrainer

CLUSTERS = RunConfig(task="clusters")
KINDS = {
    "lab": lambda: SessionRun(CLUSTERS),
    "collapse": lambda: SceneRun(config=CLUSTERS, opening=SCENES["clusters"].healthy),
    "gate map": lambda: PlaneRun(CLUSTERS),
    "gates": lambda: Comparison(base=CLUSTERS, routers=["topk", "switch"]),
    "twins": lambda: Twins(CLUSTERS, n_pairs=1),
}
LOOKS = ("read", "read_group", "gate_map")


class Engine:
    """A host whose looks fail with `trouble`, whose opening fails with `no_room`, and that is dead where `dead`."""

    def __init__(self, host):
        self.host, self.trouble, self.no_room, self.dead = host, None, None, False
        self.released = []

    def revive(self):
        pass

    def ready(self):
        if self.dead:
            raise WorkerLost("The training process has stopped.")
        return True

    def gate_map(self, run_id, layer, resolution):
        if self.trouble:
            raise self.trouble
        return SimpleNamespace(step=self.host.read(run_id).snapshot.step)

    def release(self, run_id):
        self.released.append(run_id)
        self.host.release(run_id)

    def __getattr__(self, name):
        if self.dead:
            raise WorkerLost("The training process has stopped.")
        if self.trouble and name in LOOKS:
            raise self.trouble
        if self.no_room and name in ("open", "open_group"):
            raise self.no_room
        return getattr(self.host, name)


@pytest.fixture
def browser(monkeypatch):
    """What this session's browser remembers."""
    known = Remembered({})
    for module in (watched, session, run_cookie):
        monkeypatch.setattr(module, "remembered", lambda: known, raising=False)
    return known


@pytest.fixture
def engine(tmp_path, monkeypatch, browser):
    engine = Engine(Host(FakeTrainer, RunStore(tmp_path)))
    monkeypatch.setattr(watched, "engine", lambda: engine)
    monkeypatch.setattr(watched, "lease", lambda run_id: run_id)
    monkeypatch.setattr(watched, "owner", lambda: "me")
    return engine


@pytest.fixture(params=KINDS)
def run(request, engine):
    run = KINDS[request.param]()
    assert run.poll() is not None and run.first_run_id is not None
    run.notices.clear()
    return run


def told(run):
    said = [str(notice) for notice in run.notices]
    run.notices.clear()
    return said


def test_a_run_that_is_gone_is_told_once_and_a_new_one_begins(engine, run):
    before, engine.trouble = run.first_run_id, UnknownRun("There is no such run.")
    assert run.poll() is None and run.first_run_id is None and run.latest is None
    assert told(run) == [str(watched.GONE)]
    engine.trouble = None
    assert run.poll() is not None and run.first_run_id not in (None, before) and told(run) == []


def test_a_lost_training_process_is_the_lost_state_and_its_return_ends_it(engine, run):
    engine.dead = True
    for _ in range(3):
        assert run.poll() is None and run.lost
    run.toggle()  # a press meanwhile is no error either
    assert told(run) == []
    engine.dead = False
    assert run.poll() is not None and not run.lost and told(run) == [], "whoever has resumed it"


def test_a_refusal_met_at_every_look_is_told_once(engine, run):
    for _ in range(2):
        engine.trouble = EngineError("The training process has not answered for 20 s.")
        for _ in range(5):
            assert run.poll() is None
        assert told(run) == ["The training process has not answered for 20 s."]
        engine.trouble = None
        assert run.poll() is not None and told(run) == []


def test_a_run_that_is_refused_says_why_until_it_is_reset(engine, run):
    engine.trouble = RunRefused("It has ended the training process three times.")
    for _ in range(3):
        assert run.poll() is None
    assert str(run.refused).startswith("It has ended") and told(run) == []
    engine.trouble = None
    assert run.poll() is None, "nothing is started by itself"
    run.reset()
    assert run.poll() is not None and run.refused is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_gives_a_place_in_line_and_lets_in_by_itself(engine, kind):
    run = KINDS[kind]()
    engine.no_room = Full("You are number {position} in line.", position=2)
    assert run.poll() is None and run.waiting.position == 2 and run.tick_s(0.25, 2.0) == 2.0
    engine.no_room = None
    assert run.poll() is not None and run.waiting is None and told(run) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_gone_before_it_was_open_leaves_nothing_to_forget(engine, browser, kind):
    run = KINDS[kind]()
    run.failed(UnknownRun("There is no such run."))
    assert None not in browser.drop and None not in browser.runs
    sorted(browser.drop)


def test_leaving_gives_the_runs_back_and_the_next_look_opens_others(engine, run):
    before = run.first_run_id
    run.leave()
    assert engine.released == [before] and run.latest is None
    assert run.poll() is not None and run.first_run_id != before


def test_play_step_and_reset_reach_the_engine(engine, run):
    run.play(False)
    step = newest(run.poll()).snapshot.step
    run.step_once()
    update = newest(run.poll())
    assert update.snapshot.step == step + 1 and not run.playing and not update.playing
    run.reset()
    assert newest(run.poll()).epoch == update.epoch + 1 and run.beginning == (run.first_run_id, update.epoch + 1)


def newest(look):
    return look[0] if isinstance(look, list) else look


def test_notices_of_both_looks_of_a_scene_are_told(engine, monkeypatch):
    run = KINDS["collapse"]()
    run.poll()
    run.notices.clear()
    read, said = engine.host.read, iter(["first", "second"])

    def telling(run_id, since=None):
        update = read(run_id, since)
        update.notices.append(next(said))
        return update

    monkeypatch.setattr(engine.host, "read", telling)
    run.poll()
    assert told(run) == ["first", "second"]


def test_a_twin_that_came_back_has_no_trouble_left(engine):
    run = KINDS["twins"]()
    run.poll()
    engine.trouble = EngineError("The training process has not answered for 20 s.")
    run.poll()
    engine.trouble = None
    told(run)
    assert run.poll() is not None and told(run) == [] and run.refused is None and not run.trouble


def test_a_branch_that_is_gone_is_not_begun_anew(engine):
    run = BranchRun(CLUSTERS, engine.host.open(CLUSTERS))
    assert run.poll() is not None
    engine.trouble = UnknownRun("There is no such run.")
    assert run.poll() is None and run.ended
    engine.trouble = None
    assert run.poll() is None and run.first_run_id is None


def test_what_a_page_keeps_beside_a_run_goes_with_it_and_with_its_beginning(monkeypatch):
    class Pins:
        left = 0

        def leave(self):
            Pins.left += 1

    monkeypatch.setattr(page_state.st, "session_state", {})
    first = page_state.of_run("pins", ("a", 0), lambda old: Pins())
    assert page_state.of_run("pins", ("a", 0), lambda old: Pins()) is first and Pins.left == 0
    again = page_state.of_run("pins", ("a", 1), lambda old: Pins())
    assert again is not first and Pins.left == 1, "after a reset"
    assert page_state.of_run("pins", ("b", 1), lambda old: Pins()) is not again and Pins.left == 2, "of another run"


def test_a_page_that_is_opened_again_is_another_visit_and_one_that_is_drawn_again_is_not(monkeypatch):
    monkeypatch.setattr(page_state.st, "session_state", {})
    numbers = []
    for path in ("", "one_step", "one_step", "", "one_step"):
        page_state.visit(path)
        numbers.append(page_state.visit_number())
    assert numbers == [1, 2, 2, 3, 4]


def test_what_is_said_of_an_act_is_of_the_step_that_is_shown(engine, monkeypatch):
    """The run goes on between two questions."""
    run, host, read = KINDS["collapse"](), engine.host, engine.host.read

    def and_a_step(run_id, seen=None):
        found = read(run_id, seen)
        host._find(run_id).trainer.step()
        return found

    monkeypatch.setattr(host, "read", and_a_step)
    for _ in range(4):
        step, watch = run.poll().snapshot.step, run.log[-1].watch
        assert watch.start + watch.steps == step
