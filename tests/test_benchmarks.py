"""Benchmarks: each has a smallest size, and one that breaks, says nothing or prints a number that is none is seen."""

import re
import sys

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.table import Row, show

TABLE = "from benchmarks.table import Row, show; show('Speed', [Row('ours', 1.5, 'ms', {ratio})])"


def problem_of(code, has_figures=True):
    return benchmarks.run([sys.executable, "-c", code], has_figures)


def test_every_benchmark_has_a_smallest_size_and_there_is_nothing_else():
    assert benchmarks.names() == sorted(benchmarks.SMALLEST)


@pytest.mark.parametrize("name", benchmarks.names())
def test_a_smallest_size_is_made_of_options_that_the_benchmark_has(name):
    source = (benchmarks.HERE / f"{name}.py").read_text(encoding="utf-8")
    for word in benchmarks.SMALLEST[name].split():
        assert not word.startswith("--") or re.search(rf'add_argument\(\s*"{word}"', source), word


def test_a_table_is_fine_and_passed_on(capfd):
    assert problem_of(TABLE.format(ratio=0.75)) == ""
    assert "ours       1.500 ms    ratio   0.75" in capfd.readouterr().out


def test_what_could_not_be_measured_is_a_dash(capfd):
    assert problem_of(TABLE.format(ratio=None)) == ""
    assert "ratio      –" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import moe_viz.nothing", "it ended with 1"),
        ("import json; json.nothing", "it ended with 1"),
        ("print('steps', 3, float('nan'))", "it printed nan"),
        ("print('a nanosecond 3, inference 2'); print(-1e999)", "it printed -inf"),
        ("import sys; sys.exit()", "it printed no figure"),
        ("print('done')", "it printed no figure"),
        (TABLE.format(ratio="float('nan')"), "it ended with 1"),
    ],
)
def test_what_breaks_is_named(code, problem):
    assert problem_of(code) == problem


def test_only_at_its_smallest_size_must_a_benchmark_have_figures():
    assert problem_of("print('Ray is not installed: nothing to measure.')", has_figures=False) == ""


def test_the_run_fails_and_names_what_failed(monkeypatch):
    monkeypatch.setattr(benchmarks, "names", lambda: ["layer", "page"])
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--smoke"])
    codes = {"layer": "import sys; sys.exit(2)", "page": "print(1)"}
    monkeypatch.setattr(benchmarks, "command_of", lambda name, _arguments: [sys.executable, "-c", codes[name]])
    assert benchmarks.main() == "benchmarks failed: layer (it ended with 2)"


def test_a_figure_that_is_none_is_refused_where_it_is_made():
    for value, ratio in ((float("nan"), 1), (1, float("inf"))):
        with pytest.raises(ValueError, match="page: "):
            Row("page", value, "s", ratio)
    with pytest.raises(ValueError, match="nothing was measured for 'Speed'"):
        show("Speed", [])
