"""Calculations that a reader can do again: each line's formula, done anew from its own text, gives the number beside it."""

import ast
import operator

import pytest

from moe_viz.records.numbers import MINUS, THIN
from moe_viz.systems.worked import WORKED

DO = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def done(formula):
    """What a pocket calculator makes of a formula as it stands on the page."""
    plain = formula.replace(THIN, "").replace("×", "*").replace(MINUS, "-").replace("−", "-")

    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        return DO[type(node.op)](value(node.left), value(node.right))

    return value(ast.parse(plain, mode="eval").body)


@pytest.mark.parametrize("make", WORKED)
def test_each_line_gives_the_number_beside_it(make):
    worked = make()
    for line in worked.lines:
        assert done(line.formula) == pytest.approx(line.value, rel=2e-3 if "e+" in line.formula else 1e-9), line.words
    assert worked.source and worked.claim and worked.ending


def test_the_figures_that_are_quoted_come_out():
    palm, thirty, mixtral, deepseek = ([line.result for line in make().lines] for make in WORKED)
    assert palm[-2:] == ["89.0%", "89.8%"]
    assert thirty[:2] == ["31.3", "39.7%"]
    assert mixtral[0] == f"176{THIN}160{THIN}768" and mixtral[3] == f"46{THIN}702{THIN}792{THIN}704"
    assert deepseek[0] == "3.29e+24" and deepseek[-1] == "21.6%"
