"""Whatever anybody did live can be replayed, to the bit: parameters, optimiser, history and what was seen at each step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moe_viz.records.script import MOST_EVENTS, Event
from moe_viz.records.script_file import read_script, write_script
from moe_viz.training import Trainer
from moe_viz.training.files.checkpoint import views_of
from moe_viz.training.files.figures import LOOKED_AT, script_with_figures
from moe_viz.training.files.recording import differences
from moe_viz.training.replay import Differs, Replay
from tests.training.conftest import small
from tests.training.sessions import play


def assert_same_run(one: Trainer, other: Trainer) -> None:
    assert (one.epoch, one.step_number, one.state) == (other.epoch, other.step_number, other.state)
    ours, theirs = (views_of(run.model, run.optimizer) for run in (one, other))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
    rows = [run.history.rows(limit=None) for run in (one, other)]
    names = [name for name in rows[0] if not name.startswith(LOOKED_AT)]
    assert names == [name for name in rows[1] if not name.startswith(LOOKED_AT)]
    np.testing.assert_array_equal(rows[0][names].to_numpy(), rows[1][names].to_numpy())
    assert not differences(one.snapshot().traces, other.snapshot().traces)


class Watched(Trainer):
    """Remembers what each look at it saw: (epoch, step) -> traces."""

    def snapshot(self, evaluate=True):
        snapshot = super().snapshot(evaluate)
        self.__dict__.setdefault("seen", {})[self.epoch, self.step_number] = snapshot.traces
        return snapshot


def replays(number: int) -> None:
    session = play(number)
    script = read_script(write_script(script_with_figures(session.trainer)))
    turned = {(event.epoch, event.step) for event in script.events}
    looks = {at for at in session.seen if at not in turned and at[1]}
    before = torch.get_rng_state()
    played = Replay(Watched, script, looks=set(looks))
    portions = np.random.default_rng(number)
    while not played.finished:
        played.advance(int(portions.integers(1, 7)))
    assert torch.equal(before, torch.get_rng_state()), "generator states are left as they were"
    assert played.done == played.total
    assert played.run.script == session.trainer.script, session.done
    assert_same_run(session.trainer, played.run)
    for at in looks:
        assert not differences(session.seen[at], played.run.seen[at]), at


@pytest.mark.parametrize("number", range(20))
def test_a_random_session_is_replayed_bit_for_bit(number):
    replays(number)


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(20, 200))
def test_two_hundred_random_sessions_are_replayed_bit_for_bit(number):
    replays(number)


def session() -> Trainer:
    trainer = Trainer(small("clusters", router="noisy_topk"))
    trainer.run(12)
    trainer.set(balance_coef=0.5)
    trainer.run(3)
    trainer.set(n_experts=4)
    trainer.run(7)
    trainer.set(router="deepseek_v3")
    trainer.run(5)
    return trainer


def test_trainer_replay_is_the_run_again():
    trainer = session()
    again = Trainer.replay(trainer.script)
    assert_same_run(trainer, again)
    assert again.script == trainer.script
    assert again.config.flat() == trainer.config.flat()


def test_a_checkpoint_in_the_middle_of_a_replay_changes_nothing():
    trainer = session()
    played, lengths = Trainer.play(trainer.script), iter([5, 8, 1, 4, 3, 100])
    while not played.finished:
        played.advance(next(lengths))
        run = Trainer.from_bytes(played.run.checkpoint())
        assert (run.pending is None) == played.finished
        if run.pending is not None:
            done = played.done
            played = run.go_on_playing()
            assert played.done == done
    assert played.parted is None and played.run.pending is None
    assert_same_run(trainer, played.run)
    assert played.run.script == trainer.script


def test_a_branch_and_an_exported_run_play_no_script():
    played = Trainer.play(session().script)
    played.advance(5)
    assert Trainer.imported(played.run.exported(10_000_000), lambda config: None)[0].pending is None
    branch = Trainer.from_bytes(played.run.checkpoint())
    branch.branch()
    assert branch.pending is None and branch.events[-1].what == "fork"


def test_other_data_than_the_scripts_are_refused_before_anything_is_opened():
    trainer = Trainer(small("digits"))
    script = trainer.script
    other = script.provenance.model_copy(update={"data": {"digits/digits.csv.gz": "0" * 64}})
    with pytest.raises(ValueError, match=r"other data: digits/digits.csv.gz is 000000000000…"):
        Trainer.replay(script.model_copy(update={"provenance": other}))


def test_steps_end_a_replay_earlier_or_later_in_its_last_epoch():
    trainer = session()
    early = Trainer.replay(trainer.script, steps=9)
    assert (early.epoch, early.step_number, early.config.router.name) == (1, 9, "deepseek_v3")
    before_the_switch = Trainer.replay(trainer.script, steps=6)
    assert before_the_switch.config.router.name == "noisy_topk"
    late = Trainer.replay(trainer.script, steps=20)
    trainer.run(8)
    assert_same_run(trainer, late)


def test_the_script_holds_every_value_that_a_turn_brought_and_never_auto():
    trainer = Trainer(small(device="auto"))
    trainer.set(router="deepseek_v3")
    trainer.set(device="cpu")  # it is that already, so nothing but a restart comes of it
    script = trainer.script
    assert script.config.device == "cpu"
    event, restart = script.events
    assert restart.what == "reset"
    assert event.what["router"] == "deepseek_v3" and "bias_step" in event.what and "score" in event.what
    provenance = script.provenance
    assert provenance.threads == 1 and provenance.torch == torch.__version__ and "(" in provenance.cpu


def test_what_was_refused_or_changed_nothing_is_not_in_the_script():
    trainer = Trainer(small())
    trainer.run(2)
    for knobs in ({"lr": 99}, {"device": "tpu"}, {"nonsense": 1}):
        with pytest.raises(ValueError):
            trainer.set(**knobs)
    trainer.set(lr=trainer.config.lr)
    assert trainer.script.events == ()


class Fragile(Trainer):
    """Its weights are no longer numbers after step 30, unless the learning rate is small: a pure function of its script, as any run."""

    def step(self):
        if self.step_number == 30 and self.config.lr > 0.002 and self.state == "running":
            with torch.no_grad():
                self.model.moe_layers[0].experts.w1[0, 0, 0] = float("nan")
        super().step()


@pytest.mark.parametrize("look_every", [1, 7, 1000])
def test_a_divergence_is_replayed_however_often_the_page_looked(look_every):
    trainer = Fragile(small())
    for step in range(50):
        if step == 20:
            trainer = Fragile.from_bytes(
                trainer.checkpoint()
            )  # from here on it falls back to this step at the earliest
        trainer.step()
        if step % look_every == 0:
            trainer.snapshot()
    trainer.snapshot()
    assert trainer.state == "diverged" and trainer.step_number == 20
    trainer.set(lr=0.001)
    trainer.run(15)
    trainer.set(lr=0.0015)
    trainer.run(2)
    events = [
        (event.epoch, event.step, event.what if isinstance(event.what, str) else "set") for event in trainer.events
    ]
    assert events == [(0, 30, "diverged"), (0, 20, "set"), (1, 35, "set")]
    again = Fragile.replay(read_script(write_script(trainer.script)))
    assert again.script == trainer.script
    assert_same_run(trainer, again)


def test_a_divergence_falls_back_to_the_same_step_however_often_the_page_looked():
    kept = set()
    for look_every in (1, 7, 64, 1000):
        trainer = Trainer(small("clusters", lr=0.001))
        for step in range(250):
            trainer.step()
            if step % look_every == 0:
                trainer.collect()
        trainer.step()
        kept.add(trainer._kept.step)
    assert kept == {200}


def test_a_replay_that_diverges_otherwise_says_at_which_step():
    trainer = Fragile(small(lr=0.001))
    trainer.run(40)
    script = trainer.script
    other = script.model_copy(update={"config": small(lr=0.003)})
    with pytest.raises(Differs, match="diverged after step 30"):
        Fragile.replay(other)
    stopped = Fragile(small())
    stopped.run(40)
    sound = stopped.script.model_copy(update={"config": small(lr=0.001)})
    with pytest.raises(Differs, match="here it did not"):
        Fragile.replay(sound)


def test_a_fork_begins_with_its_parents_script_and_goes_its_own_way():
    parent = Trainer(small())
    parent.run(5)
    parent.set(lr=0.01)
    parent.run(5)
    branch = Trainer.from_bytes(parent.checkpoint(history=False))
    branch.note("fork")
    branch.set(balance_coef=1.0)
    for run in (parent, branch):
        run.run(4)
    assert branch.script.events[:1] == parent.script.events
    assert [event.what for event in branch.script.events[1:]] == ["fork", {"balance_coef": 1.0}]
    again = Trainer.replay(branch.script)
    assert again.script == branch.script and not differences(again.snapshot().traces, branch.snapshot().traces)


def test_a_run_that_moves_to_other_ground_says_so_and_is_replayed_on_as_many_threads():
    trainer = Trainer(small())
    trainer.run(3)
    torch.set_num_threads(2)
    moved = Trainer.from_bytes(trainer.checkpoint())
    moved.run(3)
    torch.set_num_threads(1)
    (event,) = moved.script.events
    assert (event.what, event.step, event.on.threads) == ("moved", 3, 2)
    again = Trainer.replay(moved.script)
    assert torch.get_num_threads() == 1, "the process keeps its own number"
    assert_same_run(moved, again)


def test_a_full_script_refuses_what_a_reader_does_and_nothing_else():
    trainer = Trainer(small())
    trainer._writer.events = [Event(epoch=0, step=0, what="step_once")] * (MOST_EVENTS - 10)
    before = trainer.config
    for act in (lambda: trainer.set(lr=0.01), trainer.reset, lambda: trainer.note("step_once")):
        with pytest.raises(ValueError, match="almost 100,000 times"):
            act()
    assert trainer.config == before
    trainer.run(2)
    assert trainer.step_number == 2


def test_the_script_travels_with_every_file_of_the_run():
    trainer = session()
    trainer.snapshot()
    for data in (trainer.checkpoint(), trainer.checkpoint(history=False), trainer.exported(10_000_000)):
        assert Trainer.from_bytes(data).script == trainer.script
    imported, _ = Trainer.imported(trainer.exported(10_000_000), lambda config: None)
    assert imported.script == trainer.script


def test_a_step_that_an_error_interrupted_leaves_nothing_behind():
    trainer, straight = Trainer(small(micro_batches=2)), Trainer(small(micro_batches=2))
    trainer.run(3)
    add, calls = trainer.statistics.add, []

    def interrupted(*arguments):
        add(*arguments)
        calls.append(1)
        raise MemoryError

    trainer.statistics.add = interrupted
    with pytest.raises(MemoryError):
        trainer.step()
    trainer.statistics.add = add
    trainer.run(3)
    straight.run(6)
    assert (
        calls
        and trainer.history.rows(limit=None)["loss"].tolist() == straight.history.rows(limit=None)["loss"].tolist()
    )
