"""docs/security.md promises a test for each line. Here the promise is kept: every line of its tables names a test, and every named test exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.test_house import ROOT

LINES = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not re.match(r"\|(-+\||\s*what could be tried)", line)
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def known_tests(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")}


def test_the_model_is_all_there():
    assert len(LINES) >= 55
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for heading in (
        "What is worth protecting",
        "Who is there",
        "Borders",
        "Uploads",
        "Exhausting",
        "The passphrase",
        "left to the operator",
    ):
        assert heading in text


@pytest.mark.parametrize("line", LINES, ids=lambda line: re.sub(r"\W+", "-", line[0])[:60])
def test_each_line_has_a_test_that_exists(line):
    assert len(line) == 3 and all(line), line
    named = NAMED.findall(line[2])
    assert named, f"no test is named for: {line[0]}"
    for path, name in named:
        assert name in known_tests(path), f"{path} has no {name}"
        body = known_tests(path)[name]
        assert any(isinstance(node, ast.Assert | ast.With | ast.Call) for node in ast.walk(body)), (
            f"{name} tests nothing"
        )
        marks = " ".join(ast.unparse(mark) for mark in body.decorator_list)
        assert "skip" not in marks.replace("skipif", "") and "xfail" not in marks, f"{name} is switched off"


def test_no_test_of_this_folder_is_forgotten():
    """Every test of the folder stands in the model, but for those of the model itself and of how much was tried."""
    apart = {"test_there_are_ten_thousand", "test_waiting_doubles_and_is_forgiven", "test_a_session_waits_longer_and_longer", "test_a_wrong_word_stays_outside_and_the_right_one_comes_in"}  # fmt: skip
    named = {name for line in LINES for _, name in NAMED.findall(line[2])}
    folder = [path for path in (ROOT / "tests" / "security").glob("test_*.py") if path.name != "test_threat_model.py"]
    assert {name for path in folder for name in known_tests(path.relative_to(ROOT))} - named == apart
