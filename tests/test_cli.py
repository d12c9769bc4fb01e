"""The command line as a user meets it: a real process for each of the three commands, one readable line for every bad argument."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from moe_viz.cli import config_of, main, make_parser, words
from moe_viz.records.history import History
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig

SMALL = ["--task", "clusters", "--batch-tokens", "64", "--device", "cpu", "--quiet"]
PROGRAM = [sys.executable, "-m", "moe_viz"]


def trained(folder: Path, *more: str) -> Path:
    assert main(["train", *SMALL, "--steps", "20", "--out", str(folder), *more]) == 0
    return folder


def test_train_writes_a_run(tmp_path):
    run = trained(tmp_path / "RUN", "--router", "switch", "--k", "1", "--capacity-factor", "1.25")
    about = json.loads((run / "config.json").read_text())
    assert about["steps"] == 20 and about["device"] == "cpu"
    config = RunConfig.from_flat(about["config"])
    assert (config.router.name, config.router.k, config.router.capacity_factor) == ("switch", 1, 1.25)
    rows = History.from_parquet(run / "history.parquet").rows(limit=None)
    assert rows["step"].tolist() == list(range(1, 21)) and rows["loss"].notna().all()
    assert rows["task_metric"].notna().sum() == 1, "measured where the run was looked at: at its end"
    trace = RoutingTrace.from_parquet(run / "trace-0.parquet")
    assert (trace.step, trace.router, trace.n_experts) == (20, "switch", 8)
    assert any(name.startswith("model.") for name in load_file(run / "model.safetensors"))


def test_the_checkpoint_continues(tmp_path):
    from moe_viz.training import Trainer

    trainer = Trainer.load(trained(tmp_path / "RUN") / "model.safetensors")
    assert trainer.step_number == 20
    trainer.run(5)
    assert trainer.state == "running"


def test_verify_reproduces(tmp_path, capsys):
    run = trained(tmp_path / "RUN", "--router", "noisy_topk")
    assert main(["verify", str(run), "--quiet"]) == 0
    assert "identical: bit for bit: 0 events, 20 rows" in capsys.readouterr().out


def test_verify_notices_a_changed_number(tmp_path, capsys):
    run = trained(tmp_path / "RUN")
    history = History.from_parquet(run / "history.parquet")
    history._values[3, history.columns.index("loss")] += 0.5
    history.to_parquet(run / "history.parquet")
    trace = RoutingTrace.from_parquet(run / "trace-0.parquet")
    replace(trace, expert=(trace.expert + 1) % 8).to_parquet(run / "trace-0.parquet")
    assert main(["verify", str(run), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "refuted: step 4: loss: 0.7" in said and "step 20: trace of layer 0: expert differs" in said


def test_export(tmp_path):
    run = trained(tmp_path / "RUN", "--n-layers", "2")
    assert main(["export", str(run), "--format", "csv", "--out", str(tmp_path / "csv")]) == 0
    assert {path.name for path in (tmp_path / "csv").iterdir()} == {"history.csv", "trace-1.csv", "trace-2.csv"}
    frame, trace = pd.read_csv(tmp_path / "csv" / "trace-2.csv"), RoutingTrace.from_parquet(run / "trace-1.parquet")
    assert frame["expert.1"].tolist() == (trace.expert[:, 0] + 1).tolist() and (frame["layer"] == 2).all()
    assert np.allclose(frame[[f"probs.{e}" for e in range(1, 9)]], trace.probs, atol=1e-6)
    assert main(["export", str(run), "--format", "json"]) == 0
    whole = json.loads((run / "run.json").read_text())
    assert whole["history"]["step"] == list(range(1, 21)) and len(whole["traces"]) == 2
    assert whole["history"]["task_metric"][0] is None, "missing is null"
    assert whole["traces"][1]["expert"] == (trace.expert + 1).tolist() and whole["traces"][1]["layer"] == 2
    assert (
        whole["counted_from"] == 1
        and "training batches" in whole["batch"]["history"]
        and "probe batch" in whole["batch"]["traces"]
    )
    assert (frame["counted_from"] == 1).all() and frame["batch"].str.contains("probe batch").all()
    rows = pd.read_csv(tmp_path / "csv" / "history.csv")
    assert "load.2.8" in rows and "load.0.0" not in rows and (rows["counted_from"] == 1).all()
    assert rows["batch"].str.contains("training batches").all()


def test_a_smaller_run_leaves_no_stale_trace(tmp_path):
    trained(tmp_path / "RUN", "--n-layers", "2")
    run = trained(tmp_path / "RUN", "--n-layers", "1")
    assert [path.name for path in run.glob("trace-*")] == ["trace-0.parquet"]


def test_every_knob_is_an_option():
    known = set(words())
    for name in TASK_OPTIONS:
        for router in ROUTER_OPTIONS:
            assert set(RunConfig(task=name, router=router).flat()) <= known
    help_text = next(a for a in make_parser()._actions if a.dest == "name").choices["train"].format_help()
    assert all(f"--{word.replace('_', '-')}" in help_text for word in known)


def test_values_arrive():
    config = config_of(
        {"task": "clusters", "router": "topk", "k": "3", "capacity_factor": None, "balanced_start": "0", "speed": "10"}
    )
    assert (config.router.k, config.router.capacity_factor) == (3, None)
    assert config.task.balanced_start is False and config.speed == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --k 99", "--k 99: must be 1 to 16"),
        ("train --router nope", "router = 'nope' is not known"),
        ("train --jitter 0.1", "--jitter 0.1: not a knob of router topk or task domains"),
        ("train --lr abc", "--lr abc: must be above 0 to 1"),
        ("train --lr nan", "--lr nan: must be above 0 to 1"),
        ("train --lr 1_0e-3", "--lr 1_0e-3: must be above 0 to 1"),
        ("train --n-experts １", "--n-experts １: must be"),
        ("train --steps １", "must be a whole number from 1"),
        ("train --steps ²", "must be a whole number from 1"),
        ("train --steps 0", "must be a whole number from 1"),
        ("train --bogus 1", "unrecognized arguments: --bogus 1"),
        ("train --router topk --k 1 --renormalize before_drop", "the router gets no gradient"),
        ("train --router topk --k 9", "k = 9 is more than the 8 experts"),
        ("train --d-model 30", "a multiple of 4"),
        ("train --device tpu", "--device tpu: must be auto, cpu, cuda, mps"),
        ("train --out setup_file", "is a file"),
        ("verify nowhere", "a recorded run needs it"),
        ("export nowhere", "a recorded run needs it"),
        ("export nowhere --format xml", "invalid choice: 'xml'"),
        ("dance", "invalid choice: 'dance'"),
        ("--quiet", "required"),
        ("doctor --server.port 8600", "unrecognized arguments: --server.port 8600"),
    ],
)
def test_bad_arguments_are_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup_file").write_text("")
    try:
        code = main(arguments.split())
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert said in error and error.count("\n") == 1 and "Traceback" not in error


def test_a_broken_run_folder_is_one_line(tmp_path, capsys):
    run = trained(tmp_path / "RUN")
    capsys.readouterr()
    for name in ("trace-0.parquet", "history.parquet", "snapshot.json", "config.json"):
        kept = (run / name).read_bytes()
        (run / name).write_bytes(b"broken")
        assert main(["export", str(run)]) in (1, 2), name
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error
        (run / name).write_bytes(kept)


def test_divergence_is_reported(tmp_path, capsys, monkeypatch):
    import torch

    from moe_viz.training import Trainer

    begin = Trainer._begin

    def poisoned(self, config):
        begin(self, config)
        with torch.no_grad():
            self.model.moe_layers[0].experts.w1.fill_(float("inf"))

    monkeypatch.setattr(Trainer, "_begin", poisoned)
    assert main(["train", *SMALL, "--steps", "20", "--out", str(tmp_path / "RUN")]) == 1
    assert "no longer a finite number" in capsys.readouterr().err
    assert json.loads((tmp_path / "RUN" / "snapshot.json").read_text())["state"] == "diverged"


def test_interrupt_keeps_what_was_reached(tmp_path):
    """A real process, a real Ctrl-C, and what it left is a run that can be verified."""
    folder = tmp_path / "RUN"
    arguments = ["train", *SMALL[:-1], "--steps", "1000000", "--out", str(folder)]
    process = subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    seen = b""
    deadline = time.monotonic() + 90
    while b"/1000000" not in seen.split(b"\r")[-1] or b" 0/1000000" in seen.split(b"\r")[-1]:
        assert time.monotonic() < deadline and process.poll() is None, seen
        ready, _, _ = select.select([process.stderr], [], [], 1)
        seen += os.read(process.stderr.fileno(), 65536) if ready else b""
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and b"written to" in out
    steps = json.loads((folder / "config.json").read_text())["steps"]
    assert 0 < steps < 1000000
    assert json.loads((folder / "snapshot.json").read_text())["step"] == steps
    assert History.from_parquet(folder / "history.parquet").last == (0, steps)


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from moe_viz.cli import make_parser; make_parser().format_help(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
