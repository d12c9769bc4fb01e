"""The strips of the lab: one axis holds one unit, an empty panel is a line of words, and the last strip has the time axis."""

import numpy as np
import pandas as pd
import pytest

from moe_viz.charts.style import DROPLESS
from moe_viz.engine.protocol import Update
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import TASK_OPTIONS, RunConfig
from moe_viz.ui.lab import tabs
from moe_viz.ui.widgets.charts import dropless
from tests.records.traces import trace_of


def drawn(monkeypatch, task, capacity=None, dropped=0.0):
    found = {}
    monkeypatch.setattr(tabs, "_", str)
    monkeypatch.setattr(tabs, "draw_stack", lambda stack, line="": found.update(stack=stack, line=line))
    rows = pd.DataFrame({"epoch": 0, "step": [1, 2], "loss": 1.0, "task_metric": 0.5, "drop_rate.0": dropped})
    rows = rows.assign(**{f"load.0.{i}": 1 / 8 for i in range(8)})
    trace = trace_of(np.zeros((4, 1), int), 8, capacity=capacity)
    moment = Snapshot(2, RunConfig(task=task).flat(), {"load": [[1 / 8] * 8]}, [trace])
    tabs.strips(Update(moment, rows, True, 0), 0)
    return found["stack"], found["line"]


@pytest.mark.parametrize("task", TASK_OPTIONS)
def test_only_curves_of_one_unit_share_an_axis(monkeypatch, task):
    stack, _line = drawn(monkeypatch, task)
    apart = TASK_OPTIONS[task].metric != "held_out_loss"
    assert ("task_metric" in stack) == apart
    assert [name for name in stack["loss"][0].data if name != "step"] == ["training loss"] + (
        [] if apart else ["loss on held-out text"]
    )
    for key in ("loss", "task_metric"):
        if key in stack and TASK_OPTIONS[task].metric != "accuracy":
            assert stack[key][0].spec["title"]["subtitle"], "each with its unit"


def test_a_dropless_run_has_words_in_place_of_the_panel(monkeypatch):
    stack, line = drawn(monkeypatch, "domains")
    assert "dropped" not in stack and line == DROPLESS
    for capacity, dropped in ((3, 0.0), (None, 0.1)):
        stack, line = drawn(monkeypatch, "domains", capacity, dropped)
        assert "dropped" in stack and not line


def test_a_gate_that_turns_nobody_away_has_no_panel_of_drops():
    rows = pd.DataFrame({"epoch": 0, "step": [1, 2], "drop_rate.0": 0.0})
    bounded = trace_of(np.zeros((4, 1), int), 8, capacity=4)
    for router, empty in (("expert_choice", True), ("soft", True), ("switch", False)):
        moment = Snapshot(2, RunConfig(task="clusters", router=router).flat(), {}, [bounded])
        assert dropless([moment], [rows], [0]) == empty, router
