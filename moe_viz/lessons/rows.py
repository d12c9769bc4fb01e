"""The rows that checks read: a run's history since the exercise began, with the knobs of the run's script beside it."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.script import Script


def rows_of(history: pd.DataFrame, script: Script, begin: tuple[int, int] = (0, 0)) -> pd.DataFrame:
    """A row for each step of `history` after `begin`; before the first one a single row with `steps` = 0 and the knobs in force.

    history  columns `epoch`, `step` and the metrics, as `History.rows` has them;  begin  (epoch, step) at which the exercise began
    Columns of the result: `steps` (trained since, over restarts), `step`, the metrics, `knob.<word>`. Raises as `Script.moments` does.
    """
    stretches = _stretches(script)
    keys = [(epoch, step) for epoch, step, _, _ in stretches]
    _, began_at, began_with, _ = stretches[max(bisect.bisect_right(keys, begin) - 1, 0)]
    before = began_with + begin[1] - began_at
    new = history.loc[(history["epoch"] > begin[0]) | ((history["epoch"] == begin[0]) & (history["step"] > begin[1]))]
    if new.empty:
        last = script.end
        knobs = stretches[-1][3]
        return pd.DataFrame(
            [{"steps": 0, "step": last.step, **{f"knob.{word}": v for word, v in knobs.items()}}], dtype=object
        )
    # what was turned after step n holds from step n + 1 on
    places = [bisect.bisect_left(keys, (int(e), int(s))) - 1 for e, s in zip(new["epoch"], new["step"])]
    at = [stretches[max(place, 0)] for place in places]
    steps = [base + int(step) - start for (_, start, base, _), step in zip(at, new["step"])]
    words = dict.fromkeys(
        word for stretch in dict.fromkeys(max(place, 0) for place in places) for word in stretches[stretch][3]
    )
    knobs = {f"knob.{word}": np.array([stretch[3].get(word) for stretch in at], dtype=object) for word in words}
    beside = pd.DataFrame({"steps": np.array(steps) - before, **knobs}, index=new.index)
    return pd.concat([beside, new.drop(columns="epoch")], axis=1).reset_index(drop=True)


def _stretches(script: Script) -> list[tuple[int, int, int, dict[str, Any]]]:
    """(epoch, step from which it counts, steps trained until there, knobs in force) of each stretch between two events."""
    found = [(0, 0, 0, script.config.flat())]
    for moment in script.moments():
        _, start, base, _ = found[-1]
        trained = base + moment.event.step - start
        found.append((moment.epoch, moment.step, trained, moment.after.flat()))
    return found
