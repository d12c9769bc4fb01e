"""The rows that checks read, from a history and a script: steps count over restarts, and each row has the knobs that made it."""

import numpy as np
import pandas as pd

from moe_viz.lessons.rows import rows_of
from moe_viz.records.script import End, Event, Provenance, Script
from moe_viz.spec import RunConfig

ON = Provenance(version="1", torch="2", numpy="2", cpu="x", device="cpu", threads=1)


def script(*events, epoch=0, step=0):
    config = RunConfig.from_flat({"task": "clusters", "router": "switch", "lr": 0.003})
    return Script(
        config=config,
        events=tuple(Event(epoch=e, step=s, what=what) for e, s, what in events),
        end=End(epoch=epoch, step=step),
        provenance=ON,
    )


def history(*rows):
    return pd.DataFrame([{"epoch": e, "step": s, "loss": float(s)} for e, s in rows])


def test_what_is_turned_after_a_step_holds_from_the_next_one_on():
    rows = rows_of(history((0, 1), (0, 2), (0, 3)), script((0, 0, {"lr": 0.1}), (0, 2, {"lr": 0.2}), step=3))
    assert rows["knob.lr"].tolist() == [0.1, 0.1, 0.2]
    assert rows["steps"].tolist() == [1, 2, 3] and rows["step"].tolist() == [1, 2, 3]
    assert "epoch" not in rows


def test_steps_count_on_over_restarts_and_the_step_of_the_run_does_not():
    told = script((0, 2, {"n_experts": 4}), (1, 1, "reset"), epoch=2, step=2)
    rows = rows_of(history((0, 1), (0, 2), (1, 1), (2, 1), (2, 2)), told)
    assert rows["steps"].tolist() == [1, 2, 3, 4, 5] and rows["step"].tolist() == [1, 2, 1, 1, 2]
    assert rows["knob.n_experts"].tolist() == [8, 8, 4, 4, 4]


def test_what_was_before_the_exercise_does_not_count():
    told = script((0, 3, {"lr": 0.1}), step=5)
    rows = rows_of(history((0, 1), (0, 2), (0, 3), (0, 4), (0, 5)), told, begin=(0, 3))
    assert (
        rows["steps"].tolist() == [1, 2] and rows["step"].tolist() == [4, 5] and rows["knob.lr"].tolist() == [0.1, 0.1]
    )


def test_a_thinned_history_counts_as_the_whole_one():
    told = script((0, 4, {"lr": 0.1}), step=8)
    whole = rows_of(history(*((0, s) for s in range(1, 9))), told)
    part = rows_of(history((0, 1), (0, 3), (0, 5), (0, 8)), told)
    assert part.equals(whole[whole["step"].isin([1, 3, 5, 8])].reset_index(drop=True))


def test_before_the_first_step_there_is_one_row_with_the_knobs_in_force():
    rows = rows_of(history((0, 1)).iloc[:0], script((0, 0, {"k": 1, "lr": 0.5})))
    assert len(rows) == 1 and rows["steps"][0] == 0 and rows["knob.lr"][0] == 0.5
    after = rows_of(history((0, 1), (0, 2)), script(step=2), begin=(0, 2))
    assert (len(after), after["steps"][0], after["step"][0]) == (1, 0, 2)


def test_a_knob_that_one_gate_has_and_another_has_not_is_blank_there():
    rows = rows_of(
        history((0, 1), (0, 2)), script((0, 1, {"router": "deepseek_v3", "k": 1, "bias_step": 0.02}), step=2)
    )
    assert rows["knob.bias_step"].tolist() == [None, 0.02] and rows["knob.router"].tolist() == ["switch", "deepseek_v3"]
    assert rows["loss"].dtype == np.float64
