"""Receipts of exercises: they verify, and whoever edits one by a digit, or plays another exercise than it says, is refuted."""

import json

import pandas as pd
import pytest

from moe_viz.cli import main
from moe_viz.course import Starts, begin, look, measure, play
from moe_viz.lessons import find
from moe_viz.lessons.receipt import MOST_BYTES, hash_of, read_receipt, write_receipt
from moe_viz.training.files.figures import script_with_figures

STARTS = Starts()


def receipt_of(attempt):
    run, solved = attempt.run, attempt.solved
    assert solved is not None
    if run is None:
        return write_receipt(attempt.exercise, solved, attempt.given)
    history = run.history.rows(limit=None)
    return write_receipt(
        attempt.exercise, solved, attempt.given, script_with_figures(run), attempt.begin, history, attempt.metrics
    )


@pytest.fixture(scope="module")
def receipts():
    """Exercise id -> the text of its receipt: one trained with looks, one paused and measured, one on paper."""
    found = {}
    for id in ("2.2", "2.1", "4.6"):
        exercise = find(id)
        found[id] = receipt_of(play(exercise, exercise.reference, 0, STARTS))
    return found


def verified(tmp_path, capsys, text, *more):
    path = tmp_path / "receipt.json"
    path.write_text(text, encoding="utf-8")
    code = main(["verify", str(path), "--quiet", *more])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("id", ["2.2", "2.1", "4.6"])
def test_a_receipt_is_identical_on_the_machine_that_wrote_it(tmp_path, capsys, receipts, id):
    code, said = verified(tmp_path, capsys, receipts[id])
    assert (code, said.split(":")[0]) == (0, "identical"), said


def edited(text, change, rehash=True):
    body = json.loads(text)
    change(body)
    if rehash:
        body["hash"] = hash_of(body)
    return json.dumps(body, ensure_ascii=False)


def test_one_digit_changed_by_hand_refutes_it(tmp_path, capsys, receipts):
    text = receipts["2.2"]
    place = text.index('"router_task_gradient.0": ') + len('"router_task_gradient.0": ') + 4
    digit = "1" if text[place] != "1" else "2"
    code, said = verified(tmp_path, capsys, text[:place] + digit + text[place + 1 :])
    assert code == 1 and "hash" in said


def put(path, value):
    def change(body):
        for key in path[:-1]:
            body = body[key]
        body[path[-1]] = value(body[path[-1]]) if callable(value) else value

    return change


FORGED = {
    "a look": (
        "2.2",
        put(["figures", "looks", 0, "values", "router_task_gradient.0"], lambda x: x * 1.01),
        "router_task_gradient",
    ),
    "the step": ("2.2", put(["figures", "solved"], 11), "solved at step"),
    "a measured truth": ("2.1", put(["figures", "given", "truth", 0, 1], 0.5), "truth"),
    "an answer": ("2.1", put(["answers", "answer", 0, 0], lambda x: x % 4 + 1), ""),
    "a figure of the run": ("2.2", put(["script", "figures", "rows", 3, 2], lambda x: x + 0.001), "loss"),
    "a parameter hash": ("2.2", put(["script", "end", "parameters"], "0" * 64), "parameters"),
    "another start": ("2.2", put(["script", "config", "lr"], 0.01), "lr"),
    "another beginning": ("2.1", put(["begin"], [0, 0]), "began"),
    "another exercise": ("2.2", put(["exercise"], "1.1"), ""),
    "an answer on paper": ("4.6", put(["answers", "answer", 0, 0], 0.9), "do not solve"),
    "no run": ("2.2", put(["script"], None), "needs a run"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_receipt_is_refuted_although_its_hash_fits(tmp_path, capsys, receipts, case):
    id, change, said = FORGED[case]
    code, out = verified(tmp_path, capsys, edited(receipts[id], change))
    assert code == 1 and "refuted" in out and said in out, out


UNREADABLE = {
    "another version": (put(["version"], "9.9.9"), "9.9.9"),
    "an exercise that does not exist": (put(["exercise"], "42.1"), "42.1"),
    "another kind": (put(["receipt"], 7), "7"),
    "a word too much": (lambda body: body.update(name="x"), "name"),
    "no number": (put(["figures", "solved"], "soon"), "solved"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_compared_says_why(tmp_path, capsys, receipts, case):
    change, said = UNREADABLE[case]
    code, out = verified(tmp_path, capsys, edited(receipts["2.2"], change))
    assert code == 2 and "cannot be compared" in out and said in out, out


@pytest.mark.parametrize(
    "text", ['{"receipt": ', '{"receipt": 1}', '{"receipt": 1, "receipt": 1}', '{"receipt": ' + "[" * 5000]
)
def test_broken_files_are_no_receipts(tmp_path, capsys, text):
    assert verified(tmp_path, capsys, text)[0] == 2


def test_a_huge_file_is_not_read():
    with pytest.raises(ValueError, match="MB"):
        read_receipt(b" " * (MOST_BYTES + 1))


def test_a_locked_knob_that_was_turned_refutes_it(tmp_path, capsys):
    exercise = find("5.2")
    attempt = begin(exercise)
    attempt.run.set(drop_policy="reroute")
    attempt.run.run(2)
    look(attempt)
    measure(attempt)
    history = attempt.run.history.rows(limit=None)
    text = write_receipt(
        exercise, 2, attempt.given, script_with_figures(attempt.run), attempt.begin, history, attempt.metrics
    )
    code, said = verified(tmp_path, capsys, text)
    assert code == 1 and "drop_policy may not be" in said


def test_a_whole_class_is_checked_in_one_command(tmp_path, capsys, receipts):
    names = {
        "ann.json": receipts["4.6"],
        "bob.json": edited(receipts["4.6"], put(["answers", "answer", 0, 0], 0.9)),
        "cy.json": "{}",
    }
    for name, text in names.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    table = tmp_path / "results.csv"
    code = main(["verify", *(str(tmp_path / name) for name in names), "--quiet", "--csv", str(table)])
    found = pd.read_csv(table).set_index("file")
    assert code == 1 and found["answer"].tolist() == ["identical", "refuted", "cannot be compared"]
    assert (
        str(found.loc["ann.json", "exercise"]).rstrip("0") == "4.6" and "ann.json: identical" in capsys.readouterr().out
    )


def test_a_receipt_names_nobody(receipts):
    assert json.loads(receipts["2.2"]).keys() == {
        "receipt", "lesson", "exercise", "version", "prediction", "answers", "begin", "figures", "script", "hash",
    }  # fmt: skip
