"""What GitHub reads: workflows run what CI promises and call only what exists; the forms are forms."""

import re

import pytest
import yaml

from tests.test_house import ROOT

GITHUB = ROOT / ".github"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(path):
    """Each command of a workflow, once for each value of its job's matrix."""
    for job in read(path)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for line in (line for step in job["steps"] for line in step.get("run", "").splitlines()):
            used = re.findall(r"\$\{\{ matrix\.(\w+) \}\}", line)
            for value in matrix[used[0]] if used else [""]:
                yield re.sub(r"\$\{\{ matrix\.\w+ \}\}", value, line)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_its_parts_and_calls_what_exists(path):
    found = read(path)
    assert found["name"] == path.stem and found["permissions"] == {"contents": "read"}
    assert found[True]  # YAML 1.1 reads the key `on` so
    for job in found["jobs"].values():
        assert job["runs-on"].startswith("ubuntu-") and 0 < job["timeout-minutes"] <= 360
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    called = list(commands(path))
    assert called
    for command in called:
        program, target = command.rsplit(maxsplit=1)
        assert (program == "make" and target in TARGETS) or (program == "bash" and (ROOT / target).exists()), command


def test_each_change_runs_the_same_as_ci_with_every_python_from_the_oldest_on():
    path = GITHUB / "workflows" / "test.yml"
    assert list(commands(path)) == ["bash .ci/run"]
    pythons = read(path)["jobs"]["test"]["strategy"]["matrix"]["python"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")).group(
        1
    )
    assert pythons[0] == oldest and pythons == sorted(pythons, key=lambda v: int(v.split(".")[1]))
    assert {"push", "pull_request"} <= read(path)[True].keys()


def test_ci_runs_what_is_left_out_of_make_test():
    steps = re.findall(r"^step ([\w-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert steps == ["test", "test-slow", "parity", "test-cluster", "test-js", "smoke"]
    recipes = MAKEFILE[MAKEFILE.index("\ntest:") : MAKEFILE.index("\nsoak-tests:")]
    selected = re.findall(r'-m "([a-z ]+)"$', recipes, re.MULTILINE)
    for marks in ({"slow"}, {"browser"}, {"slow", "browser"}, set()):  # whatever a test is, some target selects it
        assert any(
            eval(
                marked,
                {"__builtins__": {}},
                {mark: mark in marks for mark in ("slow", "browser", "cluster", "nightly")},
            )
            for marked in selected
        ), marks


def test_the_night_runs_the_long_sets():
    path = GITHUB / "workflows" / "nightly.yml"
    assert set(commands(path)) == {"make nightly", "make soak-tests", "make bench"} and "schedule" in read(path)[True]


def test_ci_calls_only_targets_that_exist():
    steps = re.findall(r"^step ([\w-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"test", "parity", "test-cluster", "smoke"} <= set(steps) <= TARGETS


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_the_forms_ask_something(name):
    form = read(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert form["name"] and form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in fields}) == len(fields) >= 3
    assert all(part["attributes"]["label"] for part in fields)
    assert any(part["validations"]["required"] for part in fields)


def test_the_changelog_begins_with_this_version():
    from moe_viz import __version__

    versions = re.findall(r"^## \[([\d.]+)\] - (?:Unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert versions[0] == __version__
    assert versions == sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
