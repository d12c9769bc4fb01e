"""Scripts through the engine: what was done live is in them, and one that is opened makes the same run beside all others."""

import pytest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, TooCostly
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records.script_file import write_script
from moe_viz.training import Trainer
from tests.training.conftest import small
from tests.training.test_replay import Fragile, assert_same_run


@pytest.fixture
def host(tmp_path, clock):
    return Host(Trainer, RunStore(tmp_path / "runs"), Limits(import_bytes=400_000), clock=clock)


def trainer_of(host, run):
    return host._runs[run].trainer


def live(host) -> str:
    """Somebody's session: looked at, paused, paced, turned, branched from, stepped by hand, reset."""
    run = host.open(small("clusters", router="noisy_topk"), playing=False)
    for step in range(8):
        host.step_once(run)
        if step % 3 == 0:
            host.read(run)
    host.set(run, balance_coef=0.5, speed=5)
    with pytest.raises(EngineError):
        host.set(run, lr=99)
    host.step_once(run)
    host.set(run, n_experts=4, speed="full")
    host.train_to(run, 7)
    host.tick()
    host.play(run, False)
    host.reset(run)
    host.step_once(run)
    return run


def file_of(host, run) -> bytes:
    return write_script(host.script(run)).encode()


def play(host, run):
    while host._runs[run].replay is not None:
        host.tick()


def test_everything_that_was_done_is_in_the_script(host):
    run = live(host)
    what = [event.what if isinstance(event.what, str) else set(event.what) for event in host.script(run).events]
    assert what == ["step_once"] * 8 + [
        {"balance_coef", "speed"},
        "step_once",
        {"n_experts", "speed"},
        "reset",
        "step_once",
    ]
    assert host.script(run).end.step == 1 and host.script(run).figures.rows


def test_an_opened_script_is_the_same_run_and_waits_at_its_end(host):
    run = live(host)
    other = host.open(small("digits"), playing=True)
    opened = host.open_script(file_of(host, run), name="homework")
    seen = host.read(opened)
    assert seen.played == (0, 17) and host.describe([opened])[0].name == "homework"
    for act in (
        lambda: host.set(opened, lr=0.01),
        lambda: host.reset(opened),
        lambda: host.step_once(opened),
        lambda: host.train_to(opened, 3),
    ):
        with pytest.raises(EngineError, match="just being made from its script"):
            act()
    host.read(other)
    host.play(other, False)
    play(host, opened)
    update = host.read(opened)
    assert update.played is None and not update.playing
    assert [str(notice) for notice in update.notices] == [
        "The script was played to its end, step 1: the same run, bit for bit."
    ]
    assert_same_run(trainer_of(host, run), trainer_of(host, opened))
    host.set(opened, lr=0.01)  # and the reader goes on
    host.step_once(opened)
    assert trainer_of(host, opened).script.events[-1].what == "step_once"


def test_a_worker_that_is_started_again_goes_on_playing(host, tmp_path, clock):
    run = live(host)
    opened = host.open_script(file_of(host, run))
    for _ in range(5):
        host._step(host._runs[opened])
    host.close()
    again = Host(Trainer, RunStore(tmp_path / "runs"), Limits(import_bytes=400_000), clock=clock)
    assert again.read(opened).played == (5, 17)
    play(again, opened)
    again.read(run)
    assert_same_run(trainer_of(again, run), trainer_of(again, opened))
    assert "bit for bit" in str(again.read(opened).notices[-1])


def test_cancelling_leaves_nothing(host):
    opened = host.open_script(file_of(host, live(host)))
    host.tick(0)
    host.delete(opened)
    assert host.describe([opened]) == [] and opened not in host._runs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], r"cannot be opened: line \d+: the file ends in the middle"),
        (lambda text: text.replace('"balance_coef": 0.5', '"balance_coef": 50'), r"line \d+: balance_coef = 50: "),
        (lambda text: text.replace('"schema": 1', '"schema": 7'), "line 2: schema = 7: written by a newer version"),
        (lambda text: text + " " * 400_000, "can have at most 0 MB"),
        (lambda text: text.replace('"data": {}', '"data": {"x/y.txt": "' + "0" * 64 + '"}'), "other data: x/y.txt"),
        (
            lambda text: text.replace('"kind": "network"', '"kind": "mixture"'),
            "kind = 'mixture', but its settings are those of a network",
        ),
        (lambda text: "", "line 1: the file ends in the middle"),
    ],
)
def test_a_script_that_cannot_be_played_opens_nothing(host, change, said):
    text = file_of(host, live(host)).decode()
    assert change(text) != text
    before = set(host._runs)
    with pytest.raises(EngineError, match=said):
        host.open_script(change(text).encode())
    assert set(host._runs) == before


def test_a_script_may_not_become_what_the_server_does_not_run(host):
    text = file_of(host, live(host)).decode()
    with pytest.raises(TooCostly):
        host.open_script(text.replace('"what": {"n_experts": 4, "speed": "full"}', '"what": {"n_layers": 8, "d_hidden": 2048, "n_experts": 64, "d_model": 512, "batch_tokens": 16384}').encode())  # fmt: skip
    assert len(host._runs) == 1


def test_a_changed_script_is_played_and_its_reader_told(host):
    text = file_of(host, live(host)).decode().replace('"balance_coef": 0.5', '"balance_coef": 0.6')
    opened = host.open_script(text.encode())
    play(host, opened)
    (notice,) = host.read(opened).notices
    assert "not the run that was written: the parameters differ first at step 9 of epoch 0" in str(notice)


def test_a_script_that_leaves_its_path_stops_there_and_says_so(tmp_path, clock):
    host = Host(Fragile, RunStore(tmp_path / "runs"), Limits(), clock=clock)
    run = host.open(small(lr=0.001), playing=False)
    for _ in range(33):
        host.step_once(run)
    text = file_of(host, run).decode().replace('"lr": 0.001', '"lr": 0.003')
    opened = host.open_script(text.encode())
    host.read(opened)
    play(host, opened)
    update = host.read(opened)
    assert update.snapshot.state == "failed" and "diverged after step 30" in update.snapshot.message


def test_a_branch_begins_with_the_script_of_its_parent(host):
    run = host.open(small(), playing=False)
    for _ in range(30):
        host.step_once(run)
    branch, start = host.fork(run, 26, balance_coef=1.0)
    host.play(branch, False)
    events = host.script(branch).events
    assert start == 25 and [event.what for event in events[-2:]] == ["fork", {"balance_coef": 1.0}]
    assert events[:-2] == host.script(run).events[: len(events) - 2]
    opened = host.open_script(file_of(host, branch))
    play(host, opened)
    assert "bit for bit" in str(host.read(opened).notices[-1])
