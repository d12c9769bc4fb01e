"""History stays small, keeps real steps only, and comes back from disk as it was."""

import numpy as np
import pytest

from moe_viz.records.history import History
from moe_viz.records.keyframes import FULL_RESOLUTION, Keyframes
from tests.records.traces import seeded_trace


def fill(history, n, columns=("loss", "load.0.0"), chunk=64, start=1):
    for first in range(start, start + n, chunk):
        steps = np.arange(first, min(first + chunk, start + n))
        history.append(columns, steps, np.stack([steps * 0.5, steps % 7], 1).astype(np.float32))
    return history


def test_rows_carry_what_was_appended():
    history = fill(History(), 100)
    rows = history.rows()
    assert list(rows.columns) == ["epoch", "step", "loss", "load.0.0"]
    assert rows["step"].tolist() == list(range(1, 101))
    assert rows["loss"].tolist() == [step * 0.5 for step in range(1, 101)]


def test_memory_is_bounded_over_200_000_rows():
    columns = ["loss", *(f"load.{layer}.{i}" for layer in range(2) for i in range(8))]
    history, sizes = History(), []
    for first in range(1, 200_001, 500):
        steps = np.arange(first, first + 500)
        history.append(columns, steps, np.repeat(steps[:, None], len(columns), 1).astype(np.float32))
        sizes.append(history.nbytes)
        assert len(history) <= 4096
    assert max(sizes) == max(sizes[:20]) and max(sizes) < 1_000_000
    rows = history.rows(limit=None)
    assert (
        rows["loss"] == rows["step"]
    ).all()  # every value is the one measured at that very step: nothing is averaged
    assert rows["step"].iloc[0] == 1 and rows["step"].iloc[-1] == 200_000
    gaps = np.diff(rows["step"])
    assert (gaps[-1024:] == 1).all()  # the newest rows are whole
    old = gaps[: np.flatnonzero(gaps == 1)[0] - 1]
    assert len(set(old[:-1])) == 1  # the older part is one even grid over the whole run


def test_wide_runs_hold_fewer_rows():
    columns = [f"load.{layer}.{i}" for layer in range(8) for i in range(64)]
    history = History()
    for first in range(1, 20_001, 500):
        history.append(columns, np.arange(first, first + 500), np.zeros((500, len(columns)), np.float32))
    assert history.nbytes < 6_500_000 and len(history) >= 512


def test_limit_gives_even_rows_and_the_newest_and_does_not_shimmer():
    history = fill(History(), 3000)
    before = set(history.rows(limit=200)["step"])
    fill(history, 5, start=3001)
    after = history.rows(limit=200)["step"].tolist()
    assert len(after) <= 200 and after[-1] == 3005
    assert before - {3000} <= set(after)
    assert history.rows(limit=1)["step"].tolist() == [3005]
    for limit in (1, 2, 3, 199):
        assert len(history.rows(limit=limit)) <= limit


def test_since_orders_by_epoch_then_step():
    history = fill(History(), 50)
    assert history.restart() == 1
    fill(history, 10)
    assert history.rows(since=(0, 48))[["epoch", "step"]].values.tolist()[:3] == [[0, 49], [0, 50], [1, 1]]
    assert history.rows(since=(1, 10)).empty
    assert history.rows(epoch=1)["step"].tolist() == list(range(1, 11))
    assert history.last == (1, 10)


def test_new_columns_are_missing_before_and_absent_ones_missing_after():
    history = History()
    history.append(["loss"], [1, 2], np.ones((2, 1)))
    history.append(["bias.0.0"], [3], np.zeros((1, 1)))
    rows = history.rows()
    assert rows["bias.0.0"].isna().tolist() == [True, True, False]
    assert rows["loss"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "columns, steps, values", [(["a"], [1], np.ones((1, 2))), (["a"], [2, 2], np.ones((2, 1))), (["a"], [0], [[1.0]])]
)
def test_bad_rows_are_refused(columns, steps, values):
    history = History()
    history.append(["a"], [1], np.ones((1, 1)))
    with pytest.raises(ValueError):
        history.append(columns, steps, np.asarray(values))


def test_a_history_without_rows_has_rows():
    assert History().rows().columns.tolist() == ["epoch", "step"] and History().last is None
    assert History().nearest_keyframe(3) is None


def test_keyframe_returns_the_routing():
    history = History()
    traces = [seeded_trace(5, layer=layer) for layer in range(2)]
    history.add_keyframe(5, traces)
    history.add_keyframe(9, [seeded_trace(9, layer=layer) for layer in range(2)])
    frame = history.nearest_keyframe(7)
    assert (frame.epoch, frame.step) == (0, 5)
    for back, trace in zip(frame.traces, traces, strict=True):
        for name in ("tokens", "group", "sequence", "position", "expert", "kept", "slot"):
            assert (getattr(back, name) == getattr(trace, name)).all(), name
            assert getattr(back, name).dtype == getattr(trace, name).dtype
        np.testing.assert_allclose(back.probs, trace.probs, atol=5e-4)
        np.testing.assert_allclose(back.weight, trace.weight, atol=5e-4)
        assert (back.step, back.layer, back.router, back.capacity) == (5, trace.layer, "topk", None)


def test_ten_thousand_steps_of_keyframes_fit_and_are_even():
    history = fill(History(), 10_000)
    for step in range(0, 10_001, 10):
        history.add_keyframe(step, [seeded_trace(step % 50, n=512, layer=layer) for layer in range(2)])
    assert history.nbytes <= 25_000_000
    steps = [step for _, step in history.keyframes.steps()]
    assert steps[0] == 0 and steps[-1] == 10_000 and len(steps) > 100
    assert np.diff(steps).max() <= 4 * np.median(np.diff(steps[:-FULL_RESOLUTION]))
    assert abs(history.nearest_keyframe(5000).step - 5000) <= np.diff(steps).max()


def test_keyframes_of_old_epochs_go_when_nothing_else_can():
    frames = Keyframes(max_bytes=60_000)
    for epoch in range(30):
        frames.add(epoch, 0, [seeded_trace(epoch)])
    assert frames.nbytes <= 60_000 and frames.steps()[-1] == (29, 0) and frames.steps()[0][0] > 0
    with pytest.raises(ValueError):
        frames.add(3, 0, [seeded_trace(0)])


def test_parquet_round_trip(tmp_path):
    history = fill(History(), 9000)
    history.restart()
    fill(history, 3)
    history.add_keyframe(2, [seeded_trace(2)])
    history.to_parquet(tmp_path / "history.parquet")
    back = History.from_parquet(tmp_path / "history.parquet")
    assert back.rows(limit=None).equals(history.rows(limit=None))
    assert back.epoch == 1 and back.nearest_keyframe(2).traces[0].expert.tolist() == seeded_trace(2).expert.tolist()
    fill(back, 5000, start=4)  # a restored run goes on under the same bounds
    assert len(back) <= 4096 and back.last == (1, 5003)
    with pytest.raises(ValueError):
        Keyframes.from_parquet(tmp_path / "history.parquet")
