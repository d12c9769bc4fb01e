"""The language of checks: what is read and refused, and every rule of its meaning on rows small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest

from moe_viz.lessons import CheckError, check, load, solved, terms
from moe_viz.lessons.check_parser import read_check

NAN = float("nan")
ROWS = pd.DataFrame(
    {
        "steps": [1, 2, 3, 4, 5],
        "step": [1, 2, 3, 1, 2],
        "loss": [1.0, 2, 3, 4, NAN],
        "task_metric": [NAN, 0.3, NAN, 0.1, NAN],
        "dead_experts.0": [0, 5, 5, 0, 0],
        "max_load.0": [0.2, 0.6, 0.6, 0.2, 0.2],
        "load.0.1": [0.1, 0.2, 0.3, 0.4, 0.5],
        "experts_touched.16": [NAN, NAN, NAN, NAN, 10.2],
        "knob.k": [1, 1, 2, 2, 2],
        "knob.router": ["switch", "switch", "topk", "topk", "topk"],
        "knob.capacity_factor": [None, None, 1.25, 1.25, 1.25],
        "knob.freeze_router": [False, False, True, True, True],
    }
)
GIVEN = {
    "answer": [2, "x", True, None],
    "truth": {"English": 0.1, "Russian": 0.4, "4": 7},
    "twin": {"task_metric": 0.5, "domain_information": [0.3, 0.1], "experts_touched": {"16": 9.0}},
    "paused": {"k=1": {"task_metric": 0.2}, "k=2": {"task_metric": 0.1}, "4": {"task_metric": 9.0}},
}


def rows(expression, given=None, snapshot=None):
    return "".join("T" if true else "." for true in check(expression, ROWS, snapshot, given))


@pytest.mark.parametrize(
    ("expression", "true"),
    [
        ("loss > 1", ".TTT."),
        ("not loss > 1", "T...T"),
        ("loss != 2", "T.TT."),
        ("1 < loss <= 3", ".TT.."),
        ("loss == 2 or loss == 4 and steps == 1", ".T..."),
        ("loss + 1 * 2 == 4 and -loss / 2 == -1", ".T..."),
        ("loss / 0 == 1 or loss / 0 != 1", "....."),
        ("loss == 2.0000000001", ".T..."),
        ("loss == 2.00001", "....."),
        ("loss", "....."),
        ("loss or True", "TTTTT"),
        ("load[0][1] >= 0.3", "..TTT"),
        ("experts_touched[16] > 10", "....T"),
        ("knob.router in ['topk', 'random']", "..TTT"),
        ("knob.router not in ['topk']", "TT..."),
        ("knob.router == 'topk' and knob.router != 1", "..TTT"),
        ("knob.capacity_factor < 2 or knob.capacity_factor >= 2", "..TTT"),
        ("knob.capacity_factor not in [3]", "..TTT"),
        ("knob.noise == 0", "....."),
        ("knob.freeze_router", "..TTT"),
        ("knob.freeze_router == 1", "..TTT"),
        ("knob.router < 'zzz'", "....."),
        ("'a' in 'abc'", "....."),
        ("ever(dead_experts[0] >= 4)", ".TTTT"),
        ("always(loss < 3)", "TT..."),
        ("held(max_load[0] < 0.5, 2)", "....T"),
        ("held(max_load[0] < 0.5, 6)", "....."),
        ("first(knob.capacity_factor > 0, loss) == 3", "..TTT"),
        ("last(task_metric) < 0.2", "...TT"),
        ("last(task_metric) < 0.4", ".TTTT"),
        ("mean(loss, 2) == 2.5", "..T.."),
        ("mean(loss, 3) == 3", "...T."),
        ("mean(loss, 9) < 99", "....."),
        ("abs(-loss) == 2", ".T..."),
        ("sum(loss, 1, 1) == 4 and max(1, loss) == 2 and min([3, loss]) == 2", ".T..."),
        ("[10, 20, 30][knob.k] == 30", "..TTT"),
        ("[10, 20][2] == 0 or [10, 20][0 - 1] == 20", "....."),
        ("argmax(1, loss, 3) == 2 and argmin([loss, 1]) == 1", ".T..."),
        ("len([1, 2]) == 2 and len('abc') == 3", "TTTTT"),
        ("dot([1, 2], [3, loss]) == 7", ".T..."),
        ("dot([1], [1, 2]) == 1", "....."),
        ("agree([1, [2, 'a']], [1.05, [loss, 'a']], 0.1)", ".T..."),
        ("agree([1], 1, 9) or agree([1], [1, 1], 9) or agree(1, 2, -5)", "....."),
        ("agree(1, 1.0100000005, 0.01)", "TTTTT"),
        ("[1, 2] == [1, loss]", ".T..."),
        ("[1, loss] != [1, 2]", "T.TT."),
        ("True == 1 and not (False == 'False')", "TTTTT"),
        ("sum(loss == 2, loss == 2, True) == 3", ".T..."),
    ],
)
def test_meaning(expression, true):
    assert rows(expression) == true


@pytest.mark.parametrize(
    ("expression", "true"),
    [
        ("given.answer[0] == 2 and given.answer[1] == 'x'", True),
        ("given.answer[2]", True),
        ("given.answer[3] != 1", False),
        ("given.answer[9] != 1", False),
        ("given.edit != 1", False),
        ("argmax(given.truth) == '4'", True),
        ("given.truth[4] == 7", True),
        ("given.truth['English'] == 0.1", True),
        ("given.paused['k=2']['task_metric'] < given.paused['k=1']['task_metric']", True),
        ("given.paused[given.answer]['task_metric'] > 0", False),
        ("given.paused[given.answer[0] * 2]['task_metric'] == 9", True),
        ("twin.task_metric == 0.5 and twin.domain_information[1] == 0.1", True),
        ("given.twin['experts_touched'][16] == 9 and twin.experts_touched[16] == 9", True),
        ("len(given.truth) == 3 and len(given.answer) == 4", True),
        ("sum(given.answer) > 0", False),
        ("given.truth == given.truth and not (given.answer == given.answer)", True),
    ],
)
def test_what_was_given_is_the_same_at_every_row(expression, true):
    assert rows(expression, GIVEN) == ("TTTTT" if true else ".....")
    assert rows(expression) == "....." or expression.startswith("not")


def test_blanks_of_the_newest_row_alone_are_filled_from_the_snapshot():
    snapshot = {"loss": 9.0, "task_metric": 0.7, "z_loss": [0.5], "load": [[0.9, 0.9]], "experts_touched": {"4": 3.5}}
    assert rows("loss == 9", snapshot=snapshot) == "....T"
    assert rows("last(task_metric) == 0.7 or task_metric == 0.1", snapshot=snapshot) == "...TT"
    assert rows("z_loss[0] == 0.5 and experts_touched[4] == 3.5", snapshot=snapshot) == "....T"
    assert rows("load[0][1] == 0.5 and load[0][0] == 0.9", snapshot=snapshot) == "....T"
    assert rows("z_loss[1] == 0.5", snapshot=snapshot) == "....."


def test_a_table_without_rows_counts_as_one_row_that_is_blank():
    nothing = pd.DataFrame()
    assert check("loss < 1", nothing, None).tolist() == [False]
    assert check("loss < 1", nothing, {"loss": 0.5}).tolist() == [True]
    assert check("given.answer == 3", nothing, None, {"answer": 3}).tolist() == [True]
    assert solved("given.answer == 3", nothing, None, 0, {"answer": 3}) == 0


def test_solved_is_the_first_row_in_time():
    assert solved("dead_experts[0] >= 4", ROWS, None, 200) == 2
    assert solved("dead_experts[0] >= 4", ROWS, None, 1) is None
    assert solved("loss == 4", ROWS, None, 4) == 4
    assert solved("loss == 77", ROWS, None, 200) is None


def asked(*steps, factor=None, **more):
    columns = {f"asked.0.{expert}": [step[expert] for step in steps] for expert in range(len(steps[0]))}
    return pd.DataFrame({**columns, "knob.capacity_factor": factor or [None] * len(steps), **more})


def test_routes_lost_counts_what_is_above_the_slots_of_each_step():
    # 8 routes, 2 experts, factor 1: four slots. Step 1 loses 2 of 8, step 2 none, step 3 all but 4 of 8.
    table = asked((6, 2), (4, 4), (8, 0), factor=[1.0, 1.0, 1.0])
    assert check("routes_lost(1) == 0.25", table, None).tolist() == [True, False, False]
    assert check("routes_lost(2) == 0.125", table, None).tolist() == [False, True, False]
    assert check("routes_lost(3) == 0.25", table, None).tolist() == [False, False, True]
    assert check("routes_lost(4) < 9", table, None).tolist() == [False] * 3
    dropless = asked((6, 2), (4, 4))
    assert check("routes_lost(2) == 0", dropless, None).tolist() == [False, True]
    rerouted = asked((6, 2), factor=[1.0], **{"knob.drop_policy": ["reroute"]})
    assert not check("routes_lost(1) >= 0", rerouted, None).any()


def test_slots_are_rounded_up_and_not_by_the_binary_error_of_the_factor():
    # ceil(1.1 * 20 / 2) is 11, although 1.1 * 10 is a little more than 11 in binary
    table = asked((12, 8), factor=[1.1])
    assert check("routes_lost(1) == 0.05", table, None).all()


def test_the_needed_factor_is_the_least_that_loses_under_one_percent():
    # 100 routes a step on 2 experts: 60 on one. 0.6 * 100 = 60 slots lose none, 59.5 -> 60 slots too; 1.18 * 50 = 59 lose 1 of 100
    table = asked((60, 40), (50, 50))
    assert check("needed_factor(1) == 1.19", table, None).tolist() == [True, False]
    assert check("needed_factor(1) == 0.99", table, None).tolist() == [False, True]
    # over both steps 200 routes: one lost is 0.5 %, two are 1 %
    assert check("needed_factor(2) == 1.17", table, None).tolist() == [False, True]
    assert not check("needed_factor(1) > 0", asked((1000, 0, *[0] * 20)), None).any()


def test_two_layers_are_taken_together():
    both = pd.concat(
        [
            asked((6, 2), factor=[1.0]),
            asked((4, 4)).filter(like="asked").rename(columns=lambda n: n.replace(".0.", ".1.")),
        ],
        axis=1,
    )
    assert check("routes_lost(1) == 0.125", both, None).all()


def test_all_checks_of_the_course_are_read():
    checks = [exercise.check for lesson in load("en") for exercise in lesson.exercises]
    assert len(checks) >= 3
    for expression in checks:
        assert read_check(expression)


REFUSED = {
    "": 0,
    "   ": 0,
    "loss[0] < 1": 4,
    "dead_experts < 1": 13,
    "load[0] < 1": 8,
    "load[0][0][0] < 1": 10,
    "dead_experts[-1] < 1": 13,
    "dead_experts[steps] < 1": 13,
    "dead_experts[1.0] < 1": 13,
    "__import__('os')": 0,
    "knob.__class__": 5,
    "given.__dict__": 6,
    "given": 5,
    "given.paused.x": 12,
    "knob.nothing": 5,
    "twin.nothing": 5,
    "twin.domain_information": 23,
    "loss.real": 4,
    "nothing < 1": 0,
    "None": 0,
    "loss if True else 1": 5,
    "[x for x in [1]]": 1,
    "lambda: 1": 6,
    "loss := 1": 5,
    "loss = 1": 5,
    "loss ** 2": 6,
    "loss // 2": 6,
    "loss % 2": 5,
    "loss & 1": 5,
    "+loss": 0,
    "~loss": 0,
    '"text"': 0,
    "'a\\n'": 0,
    "'open": 0,
    "1e16": 0,
    "1_000": 0,
    "0x10": 0,
    "007": 0,
    "1.2.3": 0,
    "5 5": 2,
    "loss <": 6,
    "(loss": 5,
    "loss)": 4,
    "loss < not True": 7,
    "held(loss < 1)": 13,
    "held(loss < 1, 0)": 15,
    "held(loss < 1, 10001)": 15,
    "held(loss < 1, 2.5)": 15,
    "held(loss < 1, steps)": 15,
    "mean(loss, 5, 5)": 12,
    "ever()": 5,
    "sum()": 4,
    "dot([1])": 0,
    "abs(1, 2)": 0,
    "max": 3,
    "abs(1)[0]": 6,
    "(1)[0]": 3,
    "open('x')": 0,
    "loss; loss": 4,
    "loss\nloss": 4,
    "лосс < 1": 0,
    "loss < ½": 7,
    "(" * 21 + "1" + ")" * 21: 21,
    "not " * 21 + "True": 84,
    "-" * 21 + "1": 21,
    "[" * 21 + "]" * 21: 20,
    "1" * 1001: 1000,
}  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED, ids=lambda text: repr(text[:24]))
def test_all_else_is_refused_with_position_and_reason(expression):
    with pytest.raises(CheckError) as refused:
        read_check(expression)
    assert refused.value.position in (REFUSED[expression], REFUSED[expression] + 1), str(refused.value)
    assert f"character {refused.value.position + 1}" in str(refused.value)


@pytest.mark.parametrize(
    "expression",
    [
        "1" + "+1" * 499,
        "loss" + " < loss" * 140,
        "given.answer" + "[0]" * 320,
        "not " * 20 + "True",
        "(" * 20 + "1" + ")" * 20,
        "steps" + "*1e15" * 190 + " < 0",
        "held(ever(held(always(mean(last(loss), 10000) < 1), 10000)), 10000)",
        "loss < 0 or " * 80 + "True",
    ],
    ids=lambda text: text[:16],
)
def test_long_and_deep_checks_are_answered(expression):
    assert check(expression, ROWS, None, {"answer": [[[1]]]}).shape == (5,)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        NAN,
        float("inf"),
        10**400,
        "text",
        [],
        {},
        [None],
        [[]],
        {"a": None},
        nested(3000),
        True,
        b"bytes",
        object(),
        -1,
        1e300,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_been_read_never_raises_whatever_the_data(value):
    given = dict.fromkeys(("answer", "edit", "truth", "twin", "paused"), value)
    table = pd.DataFrame(
        {name: pd.Series([value, 1.0], dtype=object) for name in ROWS.columns}
        | {"asked.0.0": [value, 1], "asked.x.y": [1, 1]}
    )
    snapshot = {"loss": value, "load": value, "dead_experts": value, "task_metric": [value]}
    checks = [exercise.check for lesson in load("en") for exercise in lesson.exercises]
    checks += [
        "agree(given.answer, given.truth, given.edit)",
        "given.answer == given.truth",
        "given.answer in [given.truth]",
    ]
    checks += [
        "argmax(given.answer) == sum(given.truth)",
        "dot(given.answer, given.answer) > len(given.answer)",
        "loss / loss > -loss",
    ]
    checks += [
        "routes_lost(1) < needed_factor(1)",
        "given.paused[given.answer][given.answer] != 1",
        "held(last(loss) == first(loss, loss), 2)",
    ]
    for expression in checks:
        assert check(expression, table, snapshot, given).dtype == bool
        assert check(expression, pd.DataFrame(), snapshot, given).dtype == bool
    assert check("loss < 1", table, "nothing", "nothing").shape == (2,)


def test_a_table_with_a_column_twice_is_read_by_its_first():
    table = pd.DataFrame([[1.0, 2.0]], columns=["loss", "loss"])
    assert check("loss == 1", table, None).all()


def test_terms_say_what_is_true_now_and_with_which_values():
    text = "ever(dead_experts[0] >= 4) and held(max_load[0] < 0.25, 10) and knob.router == 'topk' and last(task_metric) < 0.05"
    found = terms(text, ROWS, None)
    assert [term.true for term in found] == [True, False, True, False]
    assert [term.text for term in found] == text.split(" and ")
    dead, held, router, metric = (term.quantities[0] for term in found)
    assert (dead.name, dead.index, dead.present, dead.operator, dead.wanted, dead.true) == (
        "dead_experts",
        (0,),
        0,
        ">=",
        4,
        False,
    )
    assert found[1].rows == (2, 10) and held.present == pytest.approx(0.2) and held.true
    assert (router.name, router.present, router.wanted) == ("knob.router", "topk", "topk")
    assert (metric.name, metric.present, metric.true) == ("task_metric", pytest.approx(0.1), False)


def test_a_term_turned_round_is_told_the_usual_way_round():
    (term,) = terms("0.25 > max_load[0]", ROWS, None)
    assert (term.quantities[0].operator, term.quantities[0].wanted) == ("<", 0.25)


def test_a_long_history_is_checked_at_once():
    n = 4096
    table = pd.DataFrame({"steps": np.arange(n), "loss": np.linspace(1, 0, n), "max_load.0": 0.2})
    assert solved("held(max_load[0] < 0.25, 4000) and mean(loss, 100) < 0.02", table, None, n) == 4063
