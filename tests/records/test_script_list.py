"""A script for people: what was done, from what to what; and a program that makes the very run, run here."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from moe_viz.records.script import Provenance
from moe_viz.records.script_list import Turn, as_python, turns
from moe_viz.training import Trainer
from tests.training.conftest import small
from tests.training.test_replay import Fragile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def session(kind=Trainer, **knobs):
    trainer = kind(small("clusters", router="topk", **knobs))
    trainer.run(12)
    trainer.set(balance_coef=0.5, lr=0.01)
    trainer.note("step_once")
    trainer.run(3)
    trainer.set(router="deepseek_v3")
    trainer.run(2)
    trainer.set(n_experts=4)
    trainer.run(7)
    trainer.reset()
    trainer.run(5)
    return trainer


def test_the_list_says_step_knob_from_and_to():
    assert turns(session().script) == [
        Turn(0, 12, "balance_coef", 0.1, 0.5),
        Turn(0, 12, "lr", 0.003, 0.01),
        Turn(0, 12, operation="step_once"),
        Turn(0, 15, "router", "topk", "deepseek_v3"),
        Turn(0, 15, "score", "softmax", "sigmoid"),
        Turn(0, 17, "n_experts", 8, 4),
        Turn(1, 7, operation="reset"),
    ]


def test_the_program_makes_the_same_run(tmp_path):
    trainer = session()
    (tmp_path / "run.py").write_text(as_python(trainer.script), encoding="utf-8")
    where = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, tmp_path / "run.py"], env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the same run, bit for bit"
    assert f"step 5, loss {trainer.snapshot().metrics['loss']}" in done.stdout


def test_the_program_goes_through_a_divergence_as_the_run_did():
    trainer = Fragile(small())
    trainer.run(20)
    trainer = Fragile.from_bytes(trainer.checkpoint())
    trainer.run(15)
    trainer.set(lr=0.001)
    trainer.run(4)
    names: dict = {}
    program = (
        as_python(trainer.script).replace("from moe_viz.training import Trainer", "").replace("Trainer(", "Fragile(")
    )
    exec(compile(program, "program", "exec"), {"Fragile": Fragile}, names)
    assert names["same"] and names["trainer"].script.events == trainer.script.events


def test_what_a_stranger_wrote_into_a_script_is_no_code():
    script = session().script
    evil = '"""\nimport os; os.abort()\n"""'
    provenance = Provenance(version="1", torch=evil, numpy="1", cpu=evil, device="cpu", threads=1)
    program = as_python(script.model_copy(update={"provenance": provenance}))
    assert [node.names[0].name for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Import)] == ["torch"]
