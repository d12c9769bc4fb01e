"""A full host: who gets room, in which order, and what a session may hold, with a clock that only the test moves."""

import pytest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import Full, UnknownRun
from moe_viz.engine.worker.admission import AWAY_S, REST_S
from moe_viz.engine.worker.wait_queue import PATIENCE_S
from tests.engine.worker.test_host import config, make, serve, steps  # noqa: F401


def ask(host, owner):
    """What a waiting page does: the run it got, or its place in line."""
    try:
        return host.open(config(), owner=owner)
    except Full as full:
        return full.position


def read(host, clock, runs, seconds):
    """Pages read their runs once a second."""
    for _ in range(round(seconds)):
        clock.now += 1
        for run in runs:
            host.read(run)


def test_first_come_first_served_when_a_page_closes(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=2))
    one, two = ask(host, "a"), ask(host, "b")
    assert [ask(host, who) for who in "cdec"] == [1, 2, 3, 1]
    assert host.status()["waiting"] == 3
    host.release(one)
    assert ask(host, "d") == 2 and ask(host, "e") == 3, "c came first, though it asks last"
    assert host.read(ask(host, "c")).snapshot.step == 0
    assert [ask(host, "d"), ask(host, "e")] == [1, 2] and host.read(two)


def test_two_places_at_once_let_the_second_in_before_the_first_asks_again(make):  # noqa: F811
    host = make(limits=Limits(max_runs=2))
    runs = [ask(host, "a"), ask(host, "b")]
    assert [ask(host, "c"), ask(host, "d"), ask(host, "e")] == [1, 2, 3]
    for run in runs:
        host.release(run)
    assert isinstance(ask(host, "d"), str) and ask(host, "e") == 2 and isinstance(ask(host, "c"), str)


def test_who_closes_the_page_leaves_the_line(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    run = ask(host, "a")
    assert [ask(host, "gone"), ask(host, "c")] == [1, 2]
    for _ in range(6):
        clock.now += PATIENCE_S / 4
        host.read(run)
        place = ask(host, "c")
    assert place == 1


def test_an_unread_run_gives_its_room_away_and_comes_back_through_the_line(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1, lease_s=30))
    one = ask(host, "a")
    serve(host, clock, 5, [one])
    reached = steps(host, one)
    assert reached > 0 and ask(host, "b") == 1
    clock.now += 31
    two = ask(host, "b")
    with pytest.raises(Full) as full:
        host.read(one)
    assert full.value.position == 1
    host.release(two)
    assert steps(host, one) == reached, "nothing lost"


def test_the_wait_is_estimated_from_those_who_entered_before(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    run = ask(host, "a")
    expected = []
    for n in range(4):
        with pytest.raises(Full) as full:
            host.open(config(), owner=str(n))
        expected.append(full.value.wait_s)
        read(host, clock, [run], 9)
        host.release(run)
        run = ask(host, str(n))
    assert expected == [None, None, 9, 9]


def test_a_paused_run_makes_room_and_is_still_seen_until_it_is_played_again(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    one = ask(host, "a")
    serve(host, clock, 2, [one])
    host.play(one, False)
    reached = steps(host, one)
    assert ask(host, "b") == 1, "just paused: perhaps only to look"
    for _ in range(round(REST_S) + 1):
        read(host, clock, [one], 1)
        got = ask(host, "b")
        if isinstance(got, str):
            break
    two = got
    update = host.read(one)
    assert update.snapshot.step == reached and not update.playing and len(update.history) > 1
    assert host.read(one, (0, reached)).history.empty
    with pytest.raises(Full):
        host.play(one, True)
    host.release(two)
    host.play(one, True)
    serve(host, clock, 1, [one])
    assert steps(host, one) > reached


def test_a_playing_run_that_is_read_never_leaves(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    one = ask(host, "a")
    for _ in range(200):
        read(host, clock, [one], 1)
        assert ask(host, "b") == 1


def test_sessions_share_evenly_however_many_runs_they_have(make, clock):  # noqa: F811
    host = make()
    many = [host.open(config(), owner="many") for _ in range(4)]
    single = [host.open(config(), owner=f"single {n}") for n in range(2)]
    serve(host, clock, 12, [*many, *single])
    each = [steps(host, run) for run in many]
    shares = [sum(each), *(steps(host, run) for run in single)]
    assert min(shares) >= 0.95 * max(shares)
    assert min(each) >= 0.95 * max(each), "the runs of one session take turns"


def test_a_session_beyond_its_share_lets_its_left_pages_go_first(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=16))
    own = [host.open(config(), owner="a") for _ in range(4)]
    for n in range(3):
        host.open(config(), owner=f"other {n}")
    clock.now += AWAY_S + 1
    for run in [*own[1:], *(set(host._runs) - set(own))]:
        host.read(run)
    new = host.open(config(), owner="a")
    assert set(host._runs) >= {*own[1:], new} and own[0] not in host._runs
    assert host.read(own[0]).snapshot.step == 0, "it is in the store"


def test_a_class_is_measured_on_held_out_data_more_rarely_but_always_when_it_pauses(make, clock):  # noqa: F811
    host = make([0.0001])
    runs = [host.open(config(speed=10), owner=str(n)) for n in range(30)]
    serve(host, clock, 20, runs)
    trainers = [host._runs[run].trainer for run in runs]
    assert all(trainer.snapshots == 20 and 2 <= trainer.evaluations <= 4 for trainer in trainers)
    host.play(runs[0], False)
    before = trainers[0].evaluations
    host.read(runs[0])
    host.read(runs[0])
    assert trainers[0].evaluations == before + 1
    assert len(host.read(runs[1]).history) <= 100 < trainers[1].step_number


def test_a_few_readers_see_everything(make, clock):  # noqa: F811
    host = make([0.0001])
    runs = [host.open(config(speed=50), owner=str(n)) for n in range(3)]
    serve(host, clock, 10, runs, every=0.25)
    trainer = host._runs[runs[0]].trainer
    assert trainer.evaluations == trainer.snapshots >= 40 and len(host.read(runs[0]).history) > 100


def rested(host, clock):
    """A run that was paused and has made room for another one; both."""
    one = ask(host, "a")
    serve(host, clock, 2, [one])
    host.play(one, False)
    for _ in range(round(REST_S) + 1):
        read(host, clock, [one], 1)
        if isinstance(two := ask(host, "b"), str):
            return one, two
    raise AssertionError("no room was made")


def test_a_deleted_run_is_nowhere_shown_any_more(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    one, _ = rested(host, clock)
    assert host.read(one).snapshot.step > 0
    host.delete(one)
    for look in (host.read, host.keyframe_steps, host.checkpoint_steps, host.export, host.resume):
        with pytest.raises(UnknownRun):
            look(one)
    assert host.describe([one]) == [] and not host._roster.resting


def test_a_run_that_the_store_has_removed_is_not_shown_any_more(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    one, two = rested(host, clock)
    host._roster.store.max_bytes = 0
    host._roster.store.prune(keep={two})
    with pytest.raises(UnknownRun):
        host.read(one)
    assert not host._roster.resting


def test_a_deleted_run_leaves_the_line(make, clock):  # noqa: F811
    host = make(limits=Limits(max_runs=1))
    one, _ = rested(host, clock)
    with pytest.raises(Full):
        host.play(one, True)
    assert ask(host, "c") == 2
    host.delete(one)
    assert ask(host, "c") == 1


@pytest.mark.parametrize("together", [1, 2])
def test_a_waiting_run_is_not_loaded_before_there_is_room_for_it(make, clock, monkeypatch, together):  # noqa: F811
    host = make(limits=Limits(max_runs=2))
    waiting = host.open_group([config()] * together, owner="a")
    serve(host, clock, 1, waiting)
    clock.now += 31
    others = [ask(host, "b"), ask(host, "c")]
    loaded, load = [], host._roster.store.load
    monkeypatch.setattr(host._roster.store, "load", lambda run_id, how: loaded.append(run_id) or load(run_id, how))
    for _ in range(5):
        read(host, clock, others, 2)
        with pytest.raises(Full) as full:
            host.read(waiting[0])
        assert full.value.position == 1
    assert loaded == []
    for other in others:
        host.release(other)
    assert steps(host, waiting[0]) > 0 and loaded == waiting


def test_room_is_made_for_the_whole_model_of_a_run_that_comes_back(make, clock):  # noqa: F811
    """Before it is loaded: its size is known from its config."""
    from moe_viz.engine.worker.cost import estimate

    large = config(n_experts=32, d_model=64, d_hidden=256)
    limits = Limits(max_runs=9, model_bytes=1.5 * estimate(large).model_bytes)
    host = make(limits=limits)
    one = host.open(large)
    clock.now += 31
    two = host.open(large)
    with pytest.raises(Full):
        host.read(one)
    host.release(two)
    assert steps(host, one) == 0 and two not in host._runs
