"""Checkpoints and divergence: what is saved can be read back exactly, what is broken is refused, what blows up is caught."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save

from moe_viz.training import Trainer
from moe_viz.training.files.checkpoint import put_back, tensors_of
from tests.training.conftest import small
from tests.training.test_determinism import assert_same, fingerprint


def test_a_file_continues_the_run(tmp_path):
    straight, first = Trainer(small("domains")), Trainer(small("domains"))
    straight.run(8)
    first.run(4)
    first.save(tmp_path / "run.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"], "no half-written file is left"
    second = Trainer.load(tmp_path / "run.safetensors")
    second.run(4)
    assert_same(fingerprint(straight), fingerprint(second))
    assert second.history.rows()["step"].tolist() == list(range(1, 9))


def test_a_run_whose_router_was_switched_continues():
    straight, first = Trainer(small(router="topk")), Trainer(small(router="topk"))
    for run in (straight, first):
        run.run(3)
        run.set(router="deepseek_v3", lr=0.01)
        run.run(3)
    second = Trainer.from_bytes(first.checkpoint())
    for run in (straight, second):
        run.run(3)
    assert second.config.router.name == "deepseek_v3" and second.config.lr == 0.01
    assert_same(fingerprint(straight), fingerprint(second))


def test_fork_leaves_the_original_alone():
    original = Trainer(small())
    original.run(5)
    branch = Trainer.from_bytes(original.checkpoint())
    branch.set(balance_coef=1.0)
    before = fingerprint(original)
    branch.run(3)
    assert_same(before, fingerprint(original))
    again = Trainer.from_bytes(branch.checkpoint())
    assert again.step_number == 8 and again.config.balance_coef == 1.0
    assert_same(fingerprint(branch), fingerprint(again))


def test_epoch_survives_without_history():
    trainer = Trainer(small())
    trainer.reset()
    trainer.run(2)
    again = Trainer.from_bytes(trainer.checkpoint(history=False))
    assert (again.epoch, again.step_number, len(again.history)) == (1, 2, 0)


def broken_files() -> dict[str, bytes]:
    trainer = Trainer(small())
    good = trainer.checkpoint()
    other = Trainer(small(d_model=32)).checkpoint()
    start = 8 + int.from_bytes(good[:8], "little")
    about = {"format": "moe_viz.run", "version": 1, "config": small().flat(), "step": 0, "epoch": 0}
    bad = {"config": {**about, "config": {"k": 99}}, "step": {**about, "step": -1}, "version": {**about, "version": 99}}
    tensors = {"model.x": torch.zeros(1)}
    return {
        "empty": b"",
        "noise": b"\x07" * 500,
        "cut": good[: start + 50],
        "foreign": save(tensors),
        "header": save(tensors, {"moe_viz": "{"}),
        "no tensors": save(tensors, {"moe_viz": json.dumps(about)}),
        **{name: save(tensors, {"moe_viz": json.dumps(header)}) for name, header in bad.items()},
        "other sizes": _with_header_of(good, other),
    }


def _with_header_of(good: bytes, other: bytes) -> bytes:
    """Tensors of one run under the config of another."""
    from safetensors.torch import load

    length = int.from_bytes(good[:8], "little")
    return save(load(other), json.loads(good[8 : 8 + length])["__metadata__"])


@pytest.mark.parametrize(
    "kind", ["empty", "noise", "cut", "foreign", "header", "no tensors", "config", "step", "version", "other sizes"]
)
def test_broken_files_are_refused(kind, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(broken_files()[kind])
    with pytest.raises(ValueError):
        Trainer.load(path)


def test_no_flipped_bit_goes_unnoticed():
    trainer = Trainer(small())
    trainer.run(5)
    trainer.snapshot()
    good = trainer.checkpoint()
    draw = np.random.default_rng(0)
    for byte, bit in zip(draw.integers(8, len(good), 60), draw.integers(8, size=60)):
        broken = bytearray(good)
        broken[byte] ^= 1 << int(bit)
        with pytest.raises(ValueError, match=r"broken|header|content"):
            Trainer.from_bytes(bytes(broken))


def test_metrics_over_a_window_go_on_where_they_were():
    straight, first = Trainer(small("clusters")), Trainer(small("clusters"))
    straight.run(10)
    first.run(4)
    second = Trainer.from_bytes(first.checkpoint())
    assert second.snapshot().metrics["loss"] == first.snapshot().metrics["loss"], "also before its next step"
    second.run(6)
    columns = ["loss", "balance_loss.0", "max_load.0", "cv.0", "load.0.0"]
    assert (straight.history.rows()[columns] == second.history.rows()[columns]).all().all()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot read the checkpoint"):
        Trainer.load(tmp_path / "nothing")


def write_nan(trainer: Trainer) -> None:
    with torch.no_grad():
        trainer.model.moe_layers[0].experts.w1[0, 0, 0] = float("nan")


def test_divergence_stops_and_puts_the_last_sound_parameters_back():
    trainer = Trainer(small())
    trainer.run(120)
    kept_step = trainer._kept.step
    assert kept_step == 100
    sound = {name: tensor.clone() for name, tensor in trainer._kept.tensors.items()}
    write_nan(trainer)
    trainer.run(50)
    snapshot = trainer.snapshot()
    assert (trainer.state, snapshot.state) == ("diverged", "diverged")
    assert trainer.step_number == kept_step == snapshot.step
    assert (
        "step 121" in snapshot.message
        and "Learning rate = 0.003" in snapshot.message
        and "step 100" in snapshot.message
    )
    assert "cannot" not in snapshot.message and snapshot.message == trainer.message
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, sound[f"model.{name}"])
    history = trainer.history.rows(limit=None)
    assert history["step"].iloc[-1] == 120 and history["loss"].notna().all()
    assert snapshot.metrics["loss"] is not None and snapshot.metrics["task_metric"] < 10
    trainer.step()
    assert trainer.step_number == kept_step, "a diverged run makes no steps"


def test_a_diverged_run_goes_on_after_a_knob():
    trainer = Trainer(small())
    trainer.run(10)
    write_nan(trainer)
    trainer.run(5)
    assert trainer.state == "diverged"
    said = trainer.set(lr=0.001)
    assert trainer.state == "running" and trainer.message == "" and "Goes on from step 0" in said[0]
    trainer.run(5)
    assert trainer.state == "running" and trainer.step_number == 5 and trainer.epoch == 1
    assert trainer.snapshot().metrics["loss"] is not None


def test_reset_after_divergence():
    trainer = Trainer(small())
    write_nan(trainer)
    trainer.run(3)
    assert trainer.state == "diverged"
    trainer.reset()
    trainer.run(3)
    assert trainer.state == "running" and trainer.step_number == 3


def test_a_stopped_run_is_saved_as_stopped():
    trainer = Trainer(small())
    trainer.run(5)
    write_nan(trainer)
    trainer.run(5)
    again = Trainer.from_bytes(trainer.checkpoint())
    assert (again.state, again.message, again.step_number) == ("diverged", trainer.message, 0)
    again.step()
    assert again.step_number == 0
    again.set(lr=0.001)
    again.run(3)
    assert again.state == "running" and again.history.last == (1, 3)


def test_a_hash_table_that_names_no_expert_is_refused_before_anything_is_changed():
    trainer = Trainer(small("domains", router="hash"))
    trainer.run(1)
    sound = tensors_of(trainer.model, trainer.optimizer)
    broken = {name: tensor + 1 if tensor.is_floating_point() else tensor.clone() for name, tensor in sound.items()}
    table = next(name for name in broken if name.endswith("router.table"))
    broken[table][0] = 1000
    with pytest.raises(ValueError, match="names expert 1000"):
        put_back(broken, trainer.model, trainer.optimizer)
    after = tensors_of(trainer.model, trainer.optimizer)
    assert all(after[name].equal(tensor) for name, tensor in sound.items())
