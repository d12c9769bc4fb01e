"""Verifying: a run is played again from its script and compared with what its file says, first difference first.

identical            every hash of the parameters, every row of the history, and the last traces where the file has them: bit for bit
confirmed            on another kind of machine, or one that sums in no fixed order, the figures agree within `TOLERANCE`
refuted              on an equal machine and equal versions something differs
cannot be compared   other data, an unknown operation, another version, an unreadable file, or another machine and other figures
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moe_viz import __version__
from moe_viz.records.json_lines import line_of
from moe_viz.records.script import Script
from moe_viz.spec import plain
from moe_viz.tasks.files import data_hashes
from moe_viz.training.files.claim import Claim, read_claim
from moe_viz.training.files.figures import LOOKED_AT, NOT_COMPARED, ON_DEMAND
from moe_viz.training.files.recording import differences
from moe_viz.training.provenance import provenance
from moe_viz.training.replay import Differs, Replay
from moe_viz.training.run import Run

IDENTICAL, CONFIRMED, REFUTED, CANNOT = "identical", "confirmed", "refuted", "cannot be compared"
EXIT_CODES = {IDENTICAL: 0, CONFIRMED: 0, REFUTED: 1, CANNOT: 2}
MOST_BYTES = 2_000_000_000
FIRST_STEPS, FIRST_LOSS = 10, 0.001
PARTS, MEAN_LOSS, LEAST_LOSS, MEAN_LOAD = 10, 0.10, 0.05, 0.15
TOLERANCE = (
    f"loss of the first {FIRST_STEPS} rows to {FIRST_LOSS:.1%}, mean loss of each tenth of the rows to {MEAN_LOSS:.0%} or {LEAST_LOSS}, "
    f"mean share of each expert in it to {MEAN_LOAD}"
)
"""Measured: the same runs with and without vector instructions differ by 2e-7 in their first ten steps, and after 150 steps of text or
images, where routing has taken other turns, by up to 0.03 in the mean loss of a tenth and 0.10 in an expert's mean share."""


@dataclass
class Verdict:
    """answer: one of the four;  words: what was found, a line each"""

    answer: str
    words: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.answer]


@dataclass(order=True)
class Difference:
    """The first place where replay and file part. order: parameters of a step come after its figures."""

    epoch: int
    step: int
    order: int
    what: str


def verify(
    path: Path, device: str | None = None, progress: Callable[[int, int], Any] = lambda done, total: None
) -> Verdict:
    """Read what `path` holds (a run's folder, an exported run, a script), play it again and compare. Never raises for what a file holds."""
    try:
        claim = read_claim(path)
    except ValueError as error:
        return Verdict(CANNOT, [plain(error)])
    return verify_claim(claim, device, progress)


def verify_claim(
    claim: Claim,
    device: str | None = None,
    progress: Callable[[int, int], Any] = lambda done, total: None,
    player: Callable[..., Replay[Run]] = Replay,
) -> Verdict:
    """The same for what has been read. player: makes the replay, for who wants to have its run afterwards."""
    try:
        _comparable(claim)
        play = player(Run, claim.script, device=device, looks=_looks(claim))
        apart, rows = _differences(claim, play, progress)
    except ValueError as error:
        return Verdict(CANNOT, [plain(error)])
    reasons = _provenance_differences(claim.script, play.run)
    counts = f"{len(claim.script.events)} events, {len(claim.rows)} rows of history, {play.total} steps"
    if not apart:
        more = f", {len(claim.traces)} traces" if claim.traces else ""
        return Verdict(IDENTICAL, [f"bit for bit: {counts}{more}", *reasons])
    if not reasons:
        return Verdict(REFUTED, apart)
    figure = _beyond_tolerance(claim.rows, rows)
    if figure is None:
        return Verdict(CONFIRMED, [f"within the tolerance ({TOLERANCE}): {counts}", *reasons])
    return Verdict(CANNOT, [*reasons, figure, f"the first difference: {apart[0]}"])


def _comparable(claim: Claim) -> None:
    """Raises ValueError where a comparison could say nothing."""
    script = claim.script
    if script.provenance.version != __version__:
        raise ValueError(f"written by moe_viz {script.provenance.version}, this is {__version__}")
    if claim.rows.empty and script.end.step:
        raise ValueError("the file has no figures to compare with")
    if claim.parameters is None or any(event.parameters is None for event in script.events):
        raise ValueError("the file lacks the hashes of the parameters")
    here = data_hashes(script.sources)
    for name in sorted(here.keys() | script.provenance.data.keys()):
        ours, theirs = here.get(name, "none"), script.provenance.data.get(name, "none")
        if ours != theirs:
            raise ValueError(f"other data: {name} is {theirs[:12]}… in the script and {ours[:12]}… here")


def _provenance_differences(script: Script, run: Run) -> list[str]:
    """Why equal numbers cannot be expected, a line each; empty on an equal machine and equal versions."""
    here = provenance(run.device)
    provenances = [script.provenance, *(event.on for event in script.events if event.on is not None)]
    apart = {
        f"{word}: there {there}, here {ours}" for on in provenances for word, (ours, there) in here.differs(on).items()
    }
    if run.device.type != "cpu":
        apart.add(f"{run.device.type} sums in no fixed order")
    return sorted(apart)


# -- the comparison --------------------------------------------------------------------------------------------------------


def _looks(claim: Claim) -> set[tuple[int, int]]:
    """Moments at which the run was looked at, apart from those at which something was done, where it may have been before or after."""
    return set(_looked_rows(claim).itertuples(index=False, name=None))


def _looked_rows(claim: Claim) -> pd.DataFrame:
    names = [name for name in claim.rows if name.startswith(LOOKED_AT) and not name.startswith(ON_DEMAND)]
    if not names:
        return pd.DataFrame(columns=["epoch", "step"])
    done = {(event.epoch, event.step) for event in claim.script.events}
    rows = claim.rows.loc[claim.rows[names].notna().any(axis=1), ["epoch", "step"]]
    return rows[[(int(e), int(s)) not in done for e, s in rows.to_numpy()]]


def _differences(
    claim: Claim, play: Replay[Run], progress: Callable[[int, int], Any]
) -> tuple[list[str], pd.DataFrame]:
    """In words what differs first, then what of the last traces does; and the replay's history at the claim's rows."""
    script, parts, seen, parted = claim.script, [], None, None
    wanted = pd.MultiIndex.from_arrays([claim.rows["epoch"], claim.rows["step"]]) if len(claim.rows) else None
    while not play.finished and parted is None:
        try:
            play.advance(64)
        except Differs as error:
            parted = Difference(error.epoch, error.step, 0, str(error))
        play.run.collect()
        if not len(play.run.history) or wanted is None:
            continue
        new = play.run.history.rows(since=seen, limit=None)
        seen = play.run.history.last
        keys = pd.MultiIndex.from_arrays([new["epoch"], new["step"]])
        parts.append(new[keys.isin(wanted)])
        progress(play.done, play.total)
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["epoch", "step"])
    all_of_it = [d for d in (parted, _in_rows(claim, rows, play), _in_parameters(claim, play)) if d is not None]
    words = [_said(min(all_of_it))] if all_of_it else []
    if claim.traces and play.finished:
        traces = differences(claim.traces, play.run.snapshot().traces)
        words += [f"step {script.end.step}: {line}" for line in traces]
    return words, rows


def _short(digest: str | None) -> str:
    return f"{digest[:12]}…" if digest else "none"


def _in_parameters(claim: Claim, play: Replay[Run]) -> Difference | None:
    for number, (event, ours) in enumerate(zip(claim.script.events, play.parameters)):
        if event.parameters != ours:
            step = event.step if event.to is None else event.to
            words = _apart("the parameters (SHA-256)", _short(event.parameters), _short(ours))
            return Difference(event.epoch, step, 1, words + _line(claim, "events", number, "parameters"))
    if play.finished and (ours := play.played.end.parameters) != claim.parameters:
        end = claim.script.end
        words = _apart("the parameters (SHA-256)", _short(claim.parameters), _short(ours))
        return Difference(end.epoch, end.step, 1, words + _line(claim, "end", "parameters"))
    return None


def _in_rows(claim: Claim, rows: pd.DataFrame, play: Replay[Run]) -> Difference | None:
    if not len(claim.rows):
        return None
    passed = ("epoch", "step", *NOT_COMPARED)
    names = [name for name in claim.rows if name not in passed and not name.startswith(ON_DEMAND)]
    places = [(int(epoch), int(step)) for epoch, step in claim.rows[["epoch", "step"]].to_numpy()]
    keys = pd.MultiIndex.from_tuples(places, names=["epoch", "step"])
    ours = (
        rows.drop_duplicates(["epoch", "step"], keep="last")
        .set_index(["epoch", "step"])
        .reindex(index=keys, columns=names)
    )
    theirs, mine = claim.rows[names].to_numpy(np.float32), ours.to_numpy(np.float32)
    apart = (theirs != mine) & ~(np.isnan(theirs) & np.isnan(mine))
    looked = np.array([name.startswith(LOOKED_AT) for name in names])
    was_looked_at = set(_looked_rows(claim).itertuples(index=False, name=None))
    comparable = np.array([place in was_looked_at for place in places], bool)
    apart[:, looked] &= comparable[:, None] & ~np.isnan(theirs[:, looked])
    here = set(rows[["epoch", "step"]].itertuples(index=False, name=None))
    reached = (play.run.epoch, play.run.step_number)
    for row in np.flatnonzero(apart.any(axis=1) | np.array([place not in here for place in places], bool)):
        epoch, step = places[row]
        if places[row] not in here:
            if not play.finished and places[row] > reached:
                return None  # the replay ended before: why, is said elsewhere
            return Difference(epoch, step, 0, "the replay has no such step" + _line(claim, "figures", "rows", int(row)))
        column = int(np.flatnonzero(apart[row])[0])
        words = _apart(names[column], f"{theirs[row, column]:.9g}", f"{mine[row, column]:.9g}")
        return Difference(epoch, step, 0, words + _line(claim, "figures", "rows", int(row), column + 2))
    return None


def _beyond_tolerance(theirs: pd.DataFrame, ours: pd.DataFrame) -> str | None:
    """The first figure that disagrees by more than `TOLERANCE`; None where there is none."""
    both = theirs.merge(ours, on=["epoch", "step"], suffixes=("", " here"))
    if len(both) < len(theirs) or "loss" not in both:
        return f"the replay has {len(both)} of the {len(theirs)} rows"
    gap = (both["loss"] - both["loss here"]).abs() / both["loss"].abs().clip(lower=1e-12)
    early = np.flatnonzero((gap > FIRST_LOSS) & (both.index < FIRST_STEPS))
    if len(early):
        return f"step {both['step'][early[0]]}: loss {both['loss'][early[0]]:.6g} there, {both['loss here'][early[0]]:.6g} here"
    loads = [name for name in theirs if name.startswith("load.") and f"{name} here" in both]
    for part in np.array_split(np.arange(len(both)), min(PARTS, len(both))):
        mean = both.iloc[part].mean(numeric_only=True)
        span = f"steps {both['step'].iat[part[0]]} to {both['step'].iat[part[-1]]}"
        if abs(mean["loss"] - mean["loss here"]) > max(MEAN_LOSS * abs(mean["loss"]), LEAST_LOSS):
            return f"{span}: mean loss {mean['loss']:.4g} there, {mean['loss here']:.4g} here"
        for name in loads:
            if abs(mean[name] - mean[f"{name} here"]) > MEAN_LOAD:
                return f"{span}: mean {name} {mean[name]:.3g} there, {mean[f'{name} here']:.3g} here"
    return None


def _apart(what: str, theirs: str, ours: str) -> str:
    return f"{what}: {theirs} in the file, {ours} in the replay"


def _line(claim: Claim, *path: str | int) -> str:
    return f" (line {line_of(claim.text, path)})" if claim.text else ""


def _said(difference: Difference) -> str:
    epoch = f" of epoch {difference.epoch}" if difference.epoch else ""
    return f"step {difference.step}{epoch}: {difference.what}"
