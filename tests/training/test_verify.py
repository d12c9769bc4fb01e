"""`verify`: one of four answers, with its exit code, and the first step and quantity that differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from moe_viz.cli import main
from moe_viz.records import recording
from moe_viz.records.script_file import read_script, write_script
from moe_viz.training import Trainer
from moe_viz.training.files.figures import ROWS, script_with_figures
from moe_viz.training.files.recording import record
from moe_viz.training.verify import CANNOT, CONFIRMED, IDENTICAL, REFUTED, verify
from tests.training.conftest import small

ROOT = Path(__file__).parents[2]


def session() -> Trainer:
    """Turns between two looks, one that restarts, a switch of routers, a reset."""
    trainer = Trainer(small("clusters", router="noisy_topk"))
    trainer.run(12)
    trainer.snapshot()
    trainer.set(balance_coef=0.5)
    trainer.run(3)
    trainer.set(lr=0.01)
    trainer.snapshot()
    trainer.run(9)
    trainer.set(n_experts=4)
    trainer.run(7)
    trainer.set(router="deepseek_v3")
    trainer.note("step_once")
    trainer.run(5)
    trainer.reset()
    for _ in range(12):
        trainer.step()
        trainer.snapshot()
    return trainer


@pytest.fixture(scope="module")
def run() -> Trainer:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return session()
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def script(run, tmp_path) -> Path:
    path = tmp_path / "run.script.json"
    path.write_text(write_script(script_with_figures(run)), encoding="utf-8")
    return path


def edited(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_script_is_identical(script):
    verdict = verify(script)
    assert (verdict.answer, verdict.exit_code) == (IDENTICAL, 0), verdict
    assert "6 events, 48 rows of history, 48 steps" in verdict.words[0]


def test_an_exported_run_is_identical_with_what_was_measured_when_somebody_looked(run, tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(run.exported(10_000_000))
    assert run.history.rows(limit=None)["task_metric"].notna().sum() > 10
    verdict = verify(path)
    assert verdict.answer == IDENTICAL, verdict


def test_a_folder_is_identical_and_its_last_traces_too(tmp_path):
    trainer = Trainer(small("digits", router="deepseek_v3"))
    recording.save(tmp_path, record(trainer, 12))
    verdict = verify(tmp_path)
    assert verdict.answer == IDENTICAL and f"{len(trainer.model.moe_layers)} traces" in verdict.words[0], verdict


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ('"what": {"balance_coef": 0.5}', '"what": {"balance_coef": 0.6}', "step 14: loss"),
        ('"what": {"lr": 0.01}', '"what": {"lr": 0.011}', "step 17: loss"),
        ('"step": 15, "what": {"lr"', '"step": 16, "what": {"lr"', "step 16: the parameters (SHA-256)"),
        ('"seed": 0', '"seed": 1', "step 1: loss"),
        ('"what": {"n_experts": 4}', '"what": {"n_experts": 5}', "step 1 of epoch 1: loss"),
        ('"epoch": 2, "step": 12', '"epoch": 2, "step": 11', "step 11 of epoch 2: the parameters"),
    ],
)
def test_one_changed_value_is_refuted_at_the_step_where_it_takes_effect(script, old, new, first):
    verdict = verify(edited(script, old, new))
    assert (verdict.answer, verdict.exit_code) == (REFUTED, 1), verdict
    assert verdict.words[0].startswith(first), verdict


def test_one_digit_of_a_hash_or_a_figure_is_refuted_with_its_line(script):
    whole = script.read_text(encoding="utf-8")
    read = read_script(whole)
    hash_ = read.events[3].parameters
    lines = whole.splitlines()
    verdict = verify(edited(script, hash_, hash_[:-1] + ("0" if hash_[-1] != "0" else "1")))
    at = next(number for number, text in enumerate(lines, 1) if hash_ in text)
    assert verdict.answer == REFUTED and f"(line {at})" in verdict.words[0] and "step 7 of epoch 1" in verdict.words[0]
    script.write_text(whole, encoding="utf-8")
    row = next(row for row in read.figures.rows if row[:2] == [0, 7])
    verdict = verify(edited(script, json.dumps(row)[1:-1], json.dumps([*row[:2], row[2] + 0.001, *row[3:]])[1:-1]))
    at = next(number for number, text in enumerate(lines, 1) if json.dumps(row) in text)
    assert verdict.answer == REFUTED and f"(line {at})" in verdict.words[0]
    assert verdict.words[0].startswith(f"step 7: {read.figures.columns[0]}")


def test_a_changed_weight_of_an_exported_run_is_refuted(run, tmp_path):
    other = Trainer.from_bytes(run.checkpoint())
    with torch.no_grad():
        other.model.moe_layers[0].experts.w1[0, 0, 0] += 1e-6
    path = tmp_path / "run.safetensors"
    path.write_bytes(other.exported(10_000_000))
    verdict = verify(path)
    assert verdict.answer == REFUTED and "step 12 of epoch 2: the parameters" in verdict.words[0]


def with_provenance(path: Path, **changes) -> Path:
    script = read_script(path.read_text(encoding="utf-8"))
    other = script.provenance.model_copy(update=changes)
    path.write_text(write_script(script.model_copy(update={"provenance": other})), encoding="utf-8")
    return path


def test_another_kind_of_machine_confirms_within_the_printed_tolerance(script):
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path; from moe_viz.training.verify import verify\n"
        "found = verify(Path(sys.argv[1])); print(found.answer, *found.words, sep='\\n')"
    )
    plain = os.environ | {
        "ATEN_CPU_CAPABILITY": "default"
    }  # torch without vector instructions: sums are rounded otherwise
    done = subprocess.run([sys.executable, "-c", code, script], env=plain, cwd=ROOT, capture_output=True, text=True)
    answer, *words = done.stdout.splitlines()
    assert answer == CONFIRMED, done
    assert "0.1%" in words[0] and "cpu: there" in words[1] and "(DEFAULT)" in words[1]


def test_another_machine_whose_figures_are_others_cannot_be_compared(script):
    with_provenance(script, cpu="something else")
    assert verify(script).answer == IDENTICAL, "where every bit agrees it does not matter on what"
    verdict = verify(edited(script, '"seed": 0', '"seed": 1'))
    assert (verdict.answer, verdict.exit_code) == (CANNOT, 2)
    assert "cpu: there something else" in verdict.words[0] and "step 1: loss" in verdict.words[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "9.9"}, "written by moe_viz 9.9"),
        (
            {"data": {"python/python.txt.gz": "0" * 64}},
            "other data: python/python.txt.gz is 000000000000… in the script",
        ),
    ],
)
def test_another_version_or_other_data_cannot_be_compared(script, changes, said):
    verdict = verify(with_provenance(script, **changes))
    assert verdict.answer == CANNOT and said in verdict.words[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "the file ends in the middle"),
        (lambda text: text.replace('"what": "reset"', '"what": "upcycle"'), "'upcycle' is not an operation known here"),
        (
            lambda text: text.replace('"kind": "network"', '"kind": "mixture"'),
            "kind = 'mixture', but its settings are those of a network",
        ),
        (lambda text: text[: text.index('"figures"')].rstrip().rstrip(",") + "}", "no figures to compare with"),
        (lambda text: text.replace('"lr": 0.01}', '"lr": 7}'), "lr = 7: Input should be less than or equal to 1"),
    ],
)
def test_what_cannot_be_read_cannot_be_compared(script, change, said):
    script.write_text(change(script.read_text(encoding="utf-8")), encoding="utf-8")
    verdict = verify(script)
    assert verdict.answer == CANNOT and said in verdict.words[0]


def test_files_of_versions_that_kept_no_script_cannot_be_compared(tmp_path):
    recording.save(tmp_path / "RUN", record(Trainer(small()), 3))
    (tmp_path / "RUN" / recording.SCRIPT).unlink()
    assert "kept no script" in verify(tmp_path / "RUN").words[0]


def test_the_command_prints_the_answer_and_exits_with_it(script, capsys):
    assert main(["verify", str(script), "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("identical: ")
    assert main(["verify", str(edited(script, '"lr": 0.01}', '"lr": 0.02}')), "--quiet"]) == 1
    assert capsys.readouterr().out.startswith("refuted: step 17: loss")
    script.write_text("{", encoding="utf-8")
    assert main(["verify", str(script), "--quiet"]) == 2
    assert capsys.readouterr().out.startswith("cannot be compared: ")


def test_a_script_stays_small_however_long_its_run():
    trainer = Trainer(small("clusters", n_experts=16, n_layers=2))
    trainer.run(220)
    short = script_with_figures(trainer)
    trainer.run(380)
    trainer.set(lr=0.01)
    trainer.run(2)
    script = script_with_figures(trainer)
    for one in (short, script):
        assert len(one.figures.rows) <= ROWS + 2 * len(one.events) and len(write_script(one)) < 300_000
    steps = [row[1] for row in script.figures.rows]
    assert steps[0] == 1 and {601, 602} <= set(steps) and np.all(np.diff(steps) > 0)
