"""Thinning depends on step numbers alone: one run looks the same at any age and in every copy of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from moe_viz.records.history import History
from moe_viz.records.keyframes import FULL_RESOLUTION, Keyframes
from moe_viz.records.thinning import MOST_SPARSE, SPARSE, dense_limit, first_of_each, stride_for
from tests.records.traces import seeded_trace

COLUMNS = ["loss", *SPARSE]


def run(first, last, every=13, **limits):
    """Steps first .. last; the sparse column is measured at multiples of `every`."""
    history = History(**limits)
    for start in range(first, last + 1, 50):
        steps = np.arange(start, min(start + 50, last + 1))
        held_out = np.where(steps % every == 0, np.sqrt(steps), np.nan)
        history.append(COLUMNS, steps, np.stack([steps * 0.5, held_out], 1).astype(np.float32))
    return history


def points(rows, column):
    return {step: value for step, value in zip(rows["step"], rows[column]) if np.isfinite(value)}


@pytest.mark.parametrize("last", [313, 340, 1000, 5000])
@pytest.mark.parametrize("start", [301, 158, 222])
def test_an_unchanged_fork_draws_the_steps_that_its_origin_draws(start, last):
    origin, fork = run(1, last), run(start, last)
    whole, part = origin.rows(), fork.rows()
    stretch = stride_for(last, 200 // MOST_SPARSE)
    # in the stretch of the sparse column in which it begins, the fork has the first value that it measured
    begun = start + (1 - start) % stretch
    later, since = part[part["step"] >= begun], whole[whole["step"] >= begun]
    assert later["step"].tolist() == since["step"].tolist()
    assert points(later, "task_metric") == points(since, "task_metric")
    early = part["step"][part["step"] < begun]
    assert set(early[(early - 1) % stride_for(last, dense_limit(200)) == 0]) == set(early) & set(whole["step"])


def test_a_thinned_history_draws_what_a_whole_one_draws():
    thinned, whole = run(1, 6000, max_rows=512, recent_rows=128), run(1, 6000, max_rows=16384, recent_rows=1024)
    assert len(thinned) <= 512 < len(whole)
    assert thinned.rows(limit=100).equals(whole.rows(limit=100))


@pytest.mark.parametrize("age", [199, 313, 700, 3000])
def test_the_held_out_curve_keeps_its_shape_as_the_run_ages(age):
    """Its points are few: every measured one stays while there is room, and none is far from the curve that all of them make."""
    drawn = points(run(1, age).rows(), "task_metric")
    every = points(run(1, age).rows(limit=None), "task_metric")
    assert drawn.items() <= every.items()
    steps = sorted(every)
    joined = np.interp(steps, sorted(drawn), [drawn[step] for step in sorted(drawn)])
    inner = [step <= max(drawn) for step in steps]
    assert np.abs(joined - [every[step] for step in steps])[inner].max() < 0.02 * max(every.values())
    assert len(drawn) >= min(len(every), 12)


def test_what_is_drawn_at_a_later_age_was_drawn_before():
    before = set()
    for age in (150, 313, 640, 1300, 2600):
        now = set(run(1, age).rows()["step"])
        assert not before or now - before <= set(range(max(before), age + 1)), "no old step appears that was not drawn"
        before = now - {age}


def test_the_first_row_of_a_branch_stays_so_that_it_is_known_to_be_whole():
    branch = run(302, 9000)
    assert branch.is_whole and branch.rows(limit=None)["step"].iloc[0] == 302


def test_many_short_epochs_stay_within_the_bound():
    history = History(max_rows=256, recent_rows=64)
    for _ in range(900):
        history.append(COLUMNS, [1, 2], np.ones((2, 2), np.float32))
        history.restart()
    assert len(history) <= 256 and history.is_whole and len(history.rows(limit=50)) <= 50


@pytest.mark.parametrize("limit", [4, 50, 200])
def test_a_grid_is_part_of_every_finer_one_and_fits(limit):
    for last in (1, 7, 200, 201, 10_000):
        stride = stride_for(last, dense_limit(limit))
        assert stride & (stride - 1) == 0 and (last - 1) // stride + 1 <= limit


def test_first_choices_over_the_run_keep_their_moments_as_it_ages():
    """The fluctuation curve of a run at step 400 has no moment that it had not at step 300, but the newer ones."""
    frames, before = Keyframes(), set()
    for step in range(0, 3000, 7):
        frames.add(0, step, [seeded_trace(step % 5, n=16)])
        if step in (301, 399, 1197, 2996):
            steps, choices = frames.first_choices(0, 0, limit=64)
            assert steps[0] == 0 and steps[-1] == step and len(steps) == len(choices) <= 64
            assert not before or {s for s in steps if s <= max(before)} <= before
            before = set(steps) | set(range(max(steps), step + 1))


SAME = [seeded_trace(0, n=2, n_experts=2)]


def budget_of(most):
    frames, sizes = Keyframes(), []
    for step in (0, 1):
        frames.add(0, step, SAME)
        sizes.append(frames.nbytes)
    return sizes[0] + (most - 1) * (sizes[1] - sizes[0])


def keyframes_of(steps, most):
    """Those of keyframes at `steps` that are held where `most` fit."""
    frames = Keyframes(max_bytes=budget_of(most))
    for step in steps:
        frames.add(0, step, SAME)
    return [step for _, step in frames.steps()]


@settings(max_examples=30, deadline=None)
@given(
    gaps=hs.lists(hs.integers(1, 40), min_size=110, max_size=160),
    start=hs.integers(0, 30),
    age=hs.integers(90, 160),
    budgets=hs.tuples(hs.integers(34, 90), hs.integers(34, 90)),
)
def test_histories_of_one_run_drop_the_same_keyframes_whatever_their_age_start_or_budget(gaps, start, age, budgets):
    """Where both have looked and neither keeps everything as recent, the one that had to drop more has a part of the other's."""
    steps = np.cumsum(gaps).tolist()
    seen = steps[:age], steps[start:]
    kept = [keyframes_of(mine, most) for mine, most in zip(seen, budgets)]
    until = min(mine[-FULL_RESOLUTION] for mine in kept)
    first, second = ({step for step in mine if steps[start] < step < until} for mine in kept)
    assert first <= second or second <= first


@pytest.mark.parametrize("start, budget", [(0, 60), (0, 150), (301, 60), (222, 90)])
def test_keyframes_of_an_unchanged_fork_are_drawn_at_the_steps_of_its_origin(start, budget):
    steps = [step for step in range(0, 2400, 7) if step % 3]
    later = [step for step in steps if step > start]
    origin, fork = (np.array(keyframes_of(mine, most)) for mine, most in ((steps, 60), (later, budget)))
    drawn = [mine[first_of_each(mine, 20)] for mine in (origin, fork)]
    begun = start + 2400 // 8  # in the stretch in which it begins, the fork has a first moment of its own
    assert [step for step in drawn[0] if step > begun] == [step for step in drawn[1] if step > begun]
    assert len(drawn[1]) > 8


@pytest.mark.parametrize("every", [1, 10, 13])
def test_keyframes_thin_evenly_over_the_whole_run(every):
    kept = keyframes_of(range(0, 3000, every), 80)
    older = kept[:-FULL_RESOLUTION]
    gaps = [later - sooner for sooner, later in pairwise(older)]
    assert kept[0] == 0 and len(kept) > 60 and max(gaps) <= 4 * min(gaps) + every


def test_a_smaller_budget_at_once_leaves_what_one_from_the_start_leaves():
    whole = Keyframes()
    for step in range(0, 900, 3):
        whole.add(0, step, SAME)
    whole.shrink(budget_of(80))
    assert [step for _, step in whole.steps()] == keyframes_of(range(0, 900, 3), 80)
