"""The guided scenes: what they promise is measured by `Watch`, and a few seeds of the real thing keep the promise."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from moe_viz.lessons.scenes import PATIENCE, POINTS, SCENES, Act, Watch
from moe_viz.spec import change


def act(goal, within=40):
    return Act("a", "", "", {}, goal, within)


def rows(first, dead, load, epoch=0):
    """Two layers; the second is always healthy."""
    steps = range(first, first + len(dead))
    return pd.DataFrame(
        {"epoch": epoch, "step": steps, "dead_experts.0": dead, "dead_experts.1": 0, "max_load.0": load, "max_load.1": 0.15, "drop_rate.0": 0.0, "drop_rate.1": 0.2}
    )  # fmt: skip


def test_a_rescue_counts_the_steps_until_nobody_is_dead_and_nobody_has_twice_the_fair_share():
    watch = Watch(act("rescued"), 0, 60, 8)
    watch.feed(rows(59, [9, 9, 3, 0, 0], [0.9, 0.9, 0.5, 0.3, 0.24]))
    assert (watch.steps, watch.reached, watch.kept) == (3, 3, True)
    assert (watch.dead, watch.max_load, watch.dropped) == (0, 0.24, 0.2)


def test_rows_fed_twice_or_of_another_epoch_do_not_count():
    watch = Watch(act("rescued"), 1, 0, 8)
    watch.feed(rows(1, [5, 5], [0.9, 0.9], epoch=1))
    watch.feed(rows(1, [5, 5, 0], [0.9, 0.9, 0.2], epoch=0))
    watch.feed(rows(1, [0, 5, 0], [0.2, 0.9, 0.2], epoch=1))
    assert watch.reached == 3


def test_a_rescue_can_be_lost_again():
    watch = Watch(act("rescued"), 0, 0, 8)
    watch.feed(rows(1, [0, 1, 3, 4], [0.2, 0.3, 0.4, 0.6]))
    assert (watch.reached, watch.lost) == (1, 4)


def test_collapse_waits_for_a_full_window():
    watch = Watch(act("collapsed", 60), 0, 0, 8)
    watch.feed(rows(1, [6] * 9, [0.9] * 9))
    assert watch.reached is None
    watch.feed(rows(10, [4], [0.5]))
    assert watch.reached == 10


def test_healthy_is_known_only_after_the_time_has_passed():
    watch = Watch(act("healthy", 20), 0, 0, 8)
    watch.feed(rows(1, [1] * 19, [0.2] * 19))
    assert watch.reached is None and not watch.over
    watch.feed(rows(20, [3], [0.3]))
    assert watch.reached == 20 and watch.kept
    sick = Watch(act("healthy", 20), 0, 0, 8)
    sick.feed(rows(1, [4] * 25, [0.6] * 25))
    assert sick.reached is None and sick.over


def test_missing_values_are_not_zero_dead():
    watch = Watch(act("rescued"), 0, 0, 8)
    watch.feed(rows(1, [float("nan")] * 2, [float("nan")] * 2).assign(**{"dead_experts.1": float("nan")}))
    assert watch.dead is None and watch.reached is None


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("buffers", [False, True])
def test_every_act_is_a_valid_turn_of_knobs(scene, buffers):
    for opening in (scene.healthy, scene.collapse):
        config = scene.start(opening, seed=3, buffers=buffers)
        assert config.seed == 3 and config.grad_ledger
        assert config.router.capacity_factor == (1.25 if buffers else None)
        assert scene.start(scene.collapse).balance_coef == 0
        for rescue in scene.rescues:
            changed = change(config, **rescue.knobs)
            assert changed.flat()["shared_vector"] == opening.knobs["shared_vector"], (
                "the cause stays: only the cure is new"
            )


@pytest.mark.parametrize("buffers", [False, True])
def test_the_scene_keeps_its_word(buffers):
    from benchmarks.scenes import act_out

    torch.set_num_threads(1)
    found = act_out(POINTS, 1, buffers)
    for opening in (POINTS.healthy, POINTS.collapse):
        assert found[opening.name].kept
    for rescue in POINTS.rescues:
        if rescue.sure:
            assert found[rescue.name].kept, rescue.name
            assert found[rescue.name].reached <= PATIENCE
    assert not found["balance_weak"].kept, "too weak, as the page says"
