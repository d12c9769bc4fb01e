"""Event files of a run: they hold the history's own numbers under the promised names, and nothing that was not measured."""

import struct
from collections import defaultdict

import pytest
from tensorboardX.proto.event_pb2 import Event

from moe_viz.cli import main
from moe_viz.records.history import History
from moe_viz.records.signals import signals
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.training.files import event_log
from moe_viz.training.files.event_log import EventLog
from moe_viz.training.files.recording import record

TINY = {"task": "clusters", "router": {"name": "switch"}, "n_layers": 2, "batch_tokens": 64, "n_experts": 4}


def scalars(folder):
    """tag -> {step: value} of the one event file in a folder, read as its format has it: length, checksum, event, checksum."""
    (path,) = folder.glob("events.*")
    data, found, at = path.read_bytes(), defaultdict(dict), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found[value.tag][event.step] = value.simple_value
        at += 12 + length + 4
    return found


def logged(folder, steps=7, **wanted):
    trainer = Trainer(RunConfig(**{**TINY, **wanted}))
    with EventLog(folder) as log:
        recorded = record(trainer, steps, look=log.look)
    return trainer, recorded, scalars(folder)


def test_every_steps_numbers_are_those_of_the_history(tmp_path):
    trainer, recorded, found = logged(tmp_path)
    rows = trainer.history.rows(limit=None).set_index("step")
    for column, tag in (("loss", "train/loss"), ("max_load.1", "moe/layer_2/max_load"), ("cv.0", "moe/layer_1/cv")):
        assert list(found[tag]) == list(range(1, 8))
        assert list(found[tag].values()) == pytest.approx(rows[column].tolist())
    both = rows[["max_load.0", "max_load.1"]]
    assert list(found["moe/layers/max_load_p50"].values()) == pytest.approx(both.mean(axis=1).tolist())
    assert list(found["moe/layers/max_load_p100"].values()) == pytest.approx(both.max(axis=1).tolist())
    assert found["train/task_metric"] == {7: pytest.approx(recorded.snapshot.metrics["task_metric"])}


def test_signals_and_experts_are_those_of_the_moment(tmp_path):
    _, recorded, found = logged(tmp_path)
    wanted = signals(recorded.snapshot.traces, recorded.snapshot.config)
    for name, values in wanted.items():
        for layer, value in enumerate(values, 1):
            assert found[f"moe/layer_{layer}/{name}"] == {7: pytest.approx(value)}
    load = recorded.snapshot.metrics["load"]
    assert found["moe/layer_2/load/expert_3"] == {7: pytest.approx(load[1][2])}
    assert found["moe/layer_2/importance/expert_3"]


def test_what_is_not_defined_is_not_written(tmp_path):
    _, _, found = logged(tmp_path, router={"name": "random"})
    assert "moe/layer_1/max_load" in found
    for name in ("margin", "confidence", "token_entropy"):
        assert f"moe/layer_1/{name}" not in found and f"moe/layers/{name}_p50" not in found


def test_the_command_writes_them_beside_the_run(tmp_path):
    small = ["--task", "clusters", "--batch-tokens", "64", "--device", "cpu", "--quiet", "--steps", "5"]
    assert main(["train", *small, "--out", str(tmp_path / "run"), "--log", str(tmp_path / "log")]) == 0
    rows = History.from_parquet(tmp_path / "run" / "history.parquet").rows(limit=None)
    assert list(scalars(tmp_path / "log")["train/loss"].values()) == pytest.approx(rows["loss"].tolist())


def test_a_log_that_cannot_be_is_refused_in_words_before_anything_trains(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    command = ["train", "--quiet", "--steps", "5", "--out", str(tmp_path / "run"), "--log"]
    assert main([*command, str(tmp_path / "file")]) == 2
    assert "must be a folder" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    assert main([*command, str(tmp_path / "log")]) == 2
    assert event_log.NEEDED in capsys.readouterr().err and not (tmp_path / "run").exists()
