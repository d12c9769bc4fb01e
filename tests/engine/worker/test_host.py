"""Host with a clock that only trainers and the tests move: fairness, pace, leases, checkpoints and failures, exactly."""

import itertools

import pytest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, UnknownRun
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer


@pytest.fixture
def make(clock, tmp_path):
    """make(costs, limits) -> Host whose n-th trainer spends costs[n] seconds per step."""

    def build(costs=(0.001,), limits=None, store=None):
        upcoming = itertools.chain(costs, itertools.repeat(costs[-1]))

        class Timed(FakeTrainer):
            def __init__(self, config):
                super().__init__(config)
                self.cost = next(upcoming)

            def step(self):
                super().step()
                clock.now += self.cost

        return Host(Timed, store or RunStore(tmp_path / "runs"), limits, clock=clock, cpu_clock=clock)

    return build


def config(**fields):
    return RunConfig(task="clusters", **fields)


def serve(host, clock, seconds, readers=(), every=1.0):
    """Run the owner's loop for `seconds`; `readers` read once every `every` seconds."""
    end, upcoming = clock.now + seconds, clock.now
    while clock.now < end:
        if clock.now >= upcoming:
            for run in readers:
                host.read(run)
            upcoming += every
        sleep = host.tick()
        clock.now += min(sleep, upcoming - clock.now) if upcoming > clock.now else 0.0


def steps(host, run):
    return host.read(run).snapshot.step


def test_twelve_equal_runs_advance_together(make, clock):
    host = make()
    runs = [host.open(config(seed=i)) for i in range(12)]
    serve(host, clock, 10, runs)
    reached = [steps(host, run) for run in runs]
    assert min(reached) >= 0.97 * max(reached) and sum(reached) == pytest.approx(10 / 0.001, rel=0.02)


def test_time_is_shared_not_steps(make, clock):
    costs = [0.001, 0.002, 0.005, 0.02]
    host = make(costs)
    runs = [host.open(config()) for _ in costs]
    serve(host, clock, 40, runs)
    spent = [steps(host, run) * cost for run, cost in zip(runs, costs)]
    assert min(spent) >= 0.95 * max(spent)


def test_a_run_that_slept_does_not_monopolise_on_return(make, clock):
    host = make()
    one, two = host.open(config()), host.open(config(), playing=False)
    serve(host, clock, 20, [one, two])
    host.play(two, True)
    before = steps(host, one)
    serve(host, clock, 2, [one, two])
    assert steps(host, one) - before > 0.45 * 2 / 0.001
    assert steps(host, two) > 0.45 * 2 / 0.001


@pytest.mark.parametrize("speed", [1, 5, 20, 50, 200])
def test_pace_is_kept_beside_a_greedy_neighbour(make, clock, speed):
    host = make([0.0007, 0.013])
    paced, _greedy = host.open(config(speed=speed)), host.open(config())
    serve(host, clock, 30, [paced, _greedy])
    assert steps(host, paced) == pytest.approx(30 * speed, rel=0.05)


def test_pace_is_steady_and_does_not_burst_after_a_stall(make, clock):
    host = make([0.0])
    run = host.open(config(speed=10))
    trainer, times = host._runs[run].trainer, []
    original = trainer.step
    trainer.step = lambda: (times.append(clock.now), original())
    serve(host, clock, 3, [run])
    clock.now += 20  # the process was stopped; the lease still holds
    serve(host, clock, 3, [run])
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 0.0499 and len(times) <= 65


def test_a_higher_speed_takes_effect_at_once(make, clock):
    host = make()
    run = host.open(config(speed=0.1))
    serve(host, clock, 1, [run])
    host.set(run, speed=20)
    serve(host, clock, 1, [run])
    assert steps(host, run) >= 19


def test_speed_zero_steps_only_on_request(make, clock):
    host = make()
    run = host.open(config(speed=0))
    serve(host, clock, 3, [run])
    assert steps(host, run) == 0
    host.step_once(run)
    assert steps(host, run) == 1
    host.play(run, False)
    host.step_once(run)
    assert steps(host, run) == 2 and host.read(run).snapshot.state == "paused"


def test_tick_says_how_long_to_sleep(make, clock):
    host = make()
    run = host.open(config(speed=5))
    host.tick()
    assert 0.15 < host.tick() <= 0.2
    host.play(run, False)
    assert host.tick() == 0.5
    host.set(run, speed="full")
    host.play(run, True)
    assert host.tick() == 0.0


def test_snapshot_is_made_when_read_and_once_per_step(make, clock):
    host = make()
    run = host.open(config())
    trainer = host._runs[run].trainer
    for _ in range(50):
        host.tick()
    assert trainer.snapshots == 0
    assert host.read(run).snapshot.step == trainer.step_number > 50
    host.read(run)
    assert trainer.snapshots == 1
    host.set(run, balance_coef=0.5)  # same step, other routing
    assert host.read(run).snapshot.config["balance_coef"] == 0.5 and trainer.snapshots == 2


def test_history_is_incremental_and_bounded(make, clock):
    host = make()
    run = host.open(config())
    serve(host, clock, 3, [run])
    first = host.read(run)
    assert 100 <= len(first.history) <= 200 and first.history.step.iloc[-1] == first.snapshot.step
    host.step_once(run)
    more = host.read(run, since=(first.epoch, first.snapshot.step))
    assert more.history.step.tolist() == [first.snapshot.step + 1]
    host.set(run, n_experts=4)
    host.step_once(run)
    restarted = host.read(run, since=(more.epoch, more.snapshot.step))
    assert restarted.epoch == 1 and restarted.history[["epoch", "step"]].to_numpy().tolist() == [[1, 1]]


def test_after_a_reset_nothing_of_the_old_beginning_is_shown(make, clock):
    """Also while paused, when the new one has no row yet; who has seen the old rows still gets all that is new."""
    host = make()
    run = host.open(config(), playing=False)
    for _ in range(5):
        host.step_once(run)
    seen = host.read(run)
    assert seen.history["step"].tolist() == [1, 2, 3, 4, 5]
    host.reset(run)
    update = host.read(run)
    assert (update.epoch, update.snapshot.step, len(update.history)) == (1, 0, 0)
    host.step_once(run)
    for since in (None, (seen.epoch, 5)):
        assert host.read(run, since).history[["epoch", "step"]].to_numpy().tolist() == [[1, 1]]


def test_unread_run_pauses_is_released_and_comes_back(make, clock):
    host = make([0.05])
    run, read = host.open(config()), host.open(config())
    serve(host, clock, 40, [read])
    paused_at = host._runs[run].trainer.step_number
    serve(host, clock, 30, [read])
    assert host._runs[run].trainer.step_number == paused_at
    assert 280 < paused_at < 320  # 30 s, half of the time each
    serve(host, clock, 5, [run, read])
    assert steps(host, run) > paused_at
    last = steps(host, run)
    serve(host, clock, 700, [read], every=10)
    assert run not in host._runs and read in host._runs
    update = host.read(run)
    assert update.playing and update.snapshot.step >= last and update.notices
    assert not host.read(run).notices
    serve(host, clock, 2, [run])
    assert steps(host, run) > update.snapshot.step


def test_released_run_stops_at_once_and_wakes_on_read(make, clock):
    host = make()
    run = host.open(config())
    serve(host, clock, 1, [run])
    host.release(run)
    at = host._runs[run].trainer.step_number
    serve(host, clock, 5)
    assert host._runs[run].trainer.step_number == at
    host.read(run)
    serve(host, clock, 1)
    assert host._runs[run].trainer.step_number > at


def test_checkpoint_is_never_older_than_five_seconds(make, clock, tmp_path):
    store = RunStore(tmp_path / "runs")
    host = make(store=store)
    runs = [host.open(config(seed=i)) for i in range(12)]
    serve(host, clock, 23, runs)
    again = make(store=store)
    for run in runs:
        reached = steps(host, run)
        stored = steps(again, run)
        assert reached - 5.0 / 12 / 0.001 <= stored <= reached


def test_knobs_survive_a_restart_of_the_host(make, clock):
    host = make()
    run = host.open(config())
    host.set(run, balance_coef=0.7)
    host.play(run, False)
    serve(host, clock, 6, [run])
    again = make()
    update = again.read(run)
    assert update.snapshot.config["balance_coef"] == 0.7 and not update.playing


@pytest.mark.parametrize(
    ("seed", "state", "word"), [(100, "failed", "error"), (101, "diverged", "finite"), (102, "failed", "memory")]
)
def test_one_broken_run_leaves_the_others(make, clock, seed, state, word):
    host = make()
    bad, good = host.open(config(seed=seed)), host.open(config())
    serve(host, clock, 2, [bad, good])
    update = host.read(bad)
    assert update.snapshot.state == state and word in update.snapshot.message and not update.playing
    assert steps(host, good) > 1900
    with pytest.raises(EngineError):
        host.step_once(bad)
    host.set(bad, seed=1)  # the cure: it goes on without another key
    serve(host, clock, 1, [bad, good])
    assert host.read(bad).snapshot.state == "running" and steps(host, bad) > 100


def test_run_that_cannot_be_shown_says_so(make, clock):
    host = make()
    run = host.open(config(seed=103))
    with pytest.raises(EngineError, match="error in the program"):
        host.read(run)
    host.tick()


def test_broken_run_keeps_its_last_good_checkpoint(make, clock, tmp_path):
    host = make([2.0])
    run = host.open(config(seed=101))
    serve(host, clock, 30, [run])
    assert host.read(run).snapshot.state == "diverged"
    again = make()
    assert 1 <= again.read(run).snapshot.step <= 3


def test_bad_values_are_refused_in_plain_words(make, clock):
    host = make()
    run = host.open(config())
    with pytest.raises(EngineError, match="lr = 5"):
        host.set(run, lr=5)
    with pytest.raises(EngineError, match="nonsense"):
        host.set(run, nonsense=1)
    with pytest.raises(EngineError, match="no text"):
        host.route_text(run, "hello")
    assert host.read(run).snapshot.state == "running"
    for unknown in ("x", "../../etc/passwd", "a" * 22):
        with pytest.raises(UnknownRun):
            host.read(unknown)


def test_a_full_host_says_so_and_gives_unread_places_away(make, clock):
    host = make(limits=Limits(max_runs=2))
    one, two = host.open(config()), host.open(config())
    with pytest.raises(EngineError, match="full: 2 runs"):
        host.open(config())
    serve(host, clock, 31, [one])
    three = host.open(config())
    assert two not in host._runs
    with pytest.raises(EngineError, match="full"):
        host.read(two)
    host.release(three)
    clock.now += 1
    assert steps(host, two) > 0 and three not in host._runs


def test_disk_that_fails_is_told_once_and_training_goes_on(make, clock, monkeypatch):
    host = make()
    run = host.open(config())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host._roster.store, "save", full)
    serve(host, clock, 20)
    update = host.read(run)
    assert len(update.notices) == 1 and "saved" in update.notices[0] and update.snapshot.step > 10_000
    monkeypatch.undo()
    serve(host, clock, 6, [run])
    assert not host._runs[run].unsaved_reported


def test_status_counts_and_hides_ids(make, clock):
    host = make([0.002])
    runs = [host.open(config()), host.open(config(speed=0))]
    serve(host, clock, 10, runs)
    status = host.status()
    assert status["active"] == 1 and status["steps_per_second"] == pytest.approx(500, rel=0.05)
    assert not any(run in str(status) for run in runs)
    assert status["runs"][runs[0][:6]]["ms_per_step"] == pytest.approx(2, rel=0.01)
