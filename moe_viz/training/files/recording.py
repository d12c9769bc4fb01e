"""Training a run into a recording, and comparing the traces of two number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from moe_viz import __version__
from moe_viz.records.recording import Recording
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.trace import RoutingTrace
from moe_viz.training.files.figures import script_with_figures
from moe_viz.training.run import Run

LOOK_EVERY = 50
"""Steps between snapshots: held-out metric and a keyframe. Part of what makes a recording reproducible."""


def record(
    run: Run,
    steps: int,
    stop: Callable[[], bool] = lambda: False,
    progress: Any = None,
    look: Callable[[Run, Snapshot], None] | None = None,
) -> Recording:
    """Train up to `steps` steps, fewer where `stop()` becomes true or the run diverges, and record them.

    progress: a bar with `update`, `set_postfix_str` and `close` (tqdm), or None.  look: called with each snapshot after the first step.
    """
    done = 0
    snapshot = run.snapshot()
    while done < steps and run.state != "diverged" and not stop():
        run.step()
        done += 1
        if done % LOOK_EVERY == 0 or done == steps:
            snapshot = run.snapshot()
            if look is not None:
                look(run, snapshot)
            if progress is not None and snapshot.metrics["loss"] is not None:
                progress.set_postfix_str(f"loss {snapshot.metrics['loss']:.3f}", refresh=False)
        if progress is not None:
            progress.update(1)
    if progress is not None:
        progress.close()
    if snapshot.step != run.step_number:
        snapshot = run.snapshot()
        if look is not None:
            look(run, snapshot)
    about = {"version": __version__, "torch": torch.__version__, "device": run.device.type, "steps": done}
    return Recording(snapshot, run.history, about, script_with_figures(run))


def differences(first: list[RoutingTrace], second: list[RoutingTrace]) -> list[str]:
    """What differs between the traces of two moments, one line each; nothing where every number is the same, bit for bit."""
    lines = []
    if len(first) != len(second):
        lines.append(f"traces: {len(first)}, then {len(second)}")
    for a, b in zip(first, second):
        for name, value in vars(a).items():
            other = getattr(b, name)
            if not isinstance(value, np.ndarray):
                gap = float(value != other)
            elif value.shape != other.shape or value.dtype.kind in "OU":
                gap = float(not np.array_equal(value, other))
            else:
                gap = _gap(value, other)
            if gap:
                lines.append(f"trace of layer {a.layer}: {name} differs by up to {gap:.3g}")
    return lines


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """Largest absolute difference; missing on both sides is no difference, on one side an infinite one."""
    a, b = a.astype(float), b.astype(float)
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    gaps = np.abs(a - b)[~np.isnan(a) & (a != b)]
    return float(gaps.max(initial=0.0))
