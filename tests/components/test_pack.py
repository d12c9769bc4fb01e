"""The routing view's payload and its table twin against the trace they come from."""

import dataclasses
import json

import numpy as np
import pytest

from moe_viz.components import pack, routing_table
from moe_viz.components.bundle import bundle
from moe_viz.components.labels import LABELS, translated
from moe_viz.records.trace import RoutingTrace
from tests.components.traces import make_trace


def tiny() -> RoutingTrace:
    """Three tokens, two experts, k = 2, one slot each: written by hand."""
    return RoutingTrace(
        step=7, layer=1, router="topk", capacity=1,
        tokens=np.array(["a", "<b>", "\n"]), group=np.array(["English", "English", "Python"]),
        sequence=np.array([4, 4, 9], np.int32), position=np.array([0, 1, 0], np.int32),
        expert=np.array([[1, 0], [1, -1], [-1, -1]], np.int16), weight=np.array([[0.75, 0.25], [0.6666, 0], [0, 0]], np.float32),
        kept=np.array([[True, True], [False, False], [False, False]]), slot=np.array([[0, 0], [1, -1], [-1, -1]], np.int32),
        probs=np.array([[0.25, 0.75], [0.3334, 0.6666], [0.5, 0.5]], np.float32),
    )  # fmt: skip


def test_pack_by_hand():
    packed = pack(tiny(), dead=[True, False])
    assert packed == {
        "step": 7, "layer": 1, "capacity": 1, "n_tokens": 3, "n_experts": 2, "k": 2, "first_expert": 1,
        "tokens": ["a", "<b>", "\n"], "groups": ["English", "Python"], "group": [0, 0, 1], "sequence": [0, 0, 1], "position": [0, 1, 0],
        "expert": [1, 0, 1, -1, -1, -1], "weight": [750, 250, 667, 0, 0, 0], "kept": [1, 1, 0, 0, 0, 0],
        "slot": [0, 0, 1, -1, -1, -1], "probs": [250, 750, 333, 667, 500, 500], "dead": [1, 0],
    }  # fmt: skip


def test_table_by_hand():
    table = routing_table(tiny())
    assert table["token"].tolist() == ["a", "a", "<b>", "\n"]
    assert table["expert"].fillna(-1).tolist() == [2, 1, 2, -1]
    assert table["choice"].fillna(-1).tolist() == [1, 2, 1, -1]
    assert table["kept"].fillna(False).tolist() == [True, True, False, False]
    assert table["slot"].fillna(-1).tolist() == [1, 1, 2, -1]
    assert table["probability"].iloc[:3].round(4).tolist() == pytest.approx([0.75, 0.25, 0.6666], abs=1e-4)
    assert table["weight"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(("n_experts", "k", "factor"), [(8, 2, None), (1, 1, 1.0), (64, 4, 0.5)])
def test_table_agrees_with_trace(n_experts, k, factor):
    trace = make_trace(n_experts=n_experts, k=k, capacity_factor=factor, n_tokens=96)
    table = routing_table(trace)
    assert len(table) == (trace.expert >= 0).sum()
    assert table["kept"].sum() == trace.kept.sum()
    load = np.bincount(trace.expert[trace.expert >= 0], minlength=n_experts)
    assert table["expert"].value_counts().reindex(range(1, n_experts + 1), fill_value=0).tolist() == load.tolist()
    assert np.allclose(table["weight"].astype(float), trace.weight[trace.expert >= 0])


def test_size_of_default_payload():
    assert len(json.dumps(pack(make_trace(n_tokens=256, n_experts=8)))) < 30_000


def test_what_json_cannot_say():
    trace = tiny()
    broken = dataclasses.replace(trace, probs=np.array([[np.nan, 1], [np.inf, 0], [0.5, 0.5]], np.float32))
    packed = pack(broken)
    assert packed["probs"] == [-1, 1000, -1, 0, 500, 500]
    json.dumps(packed, allow_nan=False)


def test_no_tokens_and_no_routes():
    trace = make_trace(n_tokens=4, n_experts=3, k=1)
    none = {
        name: getattr(trace, name)[:0]
        for name in ("tokens", "group", "sequence", "position", "expert", "weight", "kept", "slot", "probs")
    }
    empty = dataclasses.replace(trace, **none)
    assert pack(empty)["tokens"] == [] and len(routing_table(empty)) == 0
    narrow = {name: getattr(trace, name)[:, :0] for name in ("expert", "weight", "kept", "slot")}
    soft = dataclasses.replace(trace, **narrow)
    assert pack(soft)["k"] == 0 and routing_table(soft)["expert"].isna().all()


def test_images_and_points():
    trace = make_trace("image", n_tokens=32)
    images = np.zeros((2, 8, 8))
    images[1, 0, 0] = 1
    packed = pack(trace, images=images)["images"]
    assert (packed["height"], packed["width"], packed["colour"]) == (8, 8, False)
    assert packed["pixels"][1].startswith("/w")
    points = pack(make_trace("point", n_tokens=3), points=np.array([[0, 0], [2, 1], [1, 0.5]]))["points"]
    assert points == [0, 750, 1000, 250, 500, 500]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"images": np.zeros((1, 8, 8))}, "1 images for 2 sequences"),
        ({"images": np.zeros((2, 8))}, r"\[2, 8\]"),
        ({"points": np.zeros((5, 2))}, r"\[32, 2\], not \[5, 2\]"),
        ({"dead": [True]}, "1 entries for 8 experts"),
        ({"images": np.zeros((2, 8, 8)), "points": np.zeros((32, 2))}, "both"),
    ],
)
def test_misfits_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        pack(make_trace("image", n_tokens=32), **options)


def test_every_word_the_script_says_is_a_label():
    script = bundle("routing")
    missing = [name for name in LABELS if f'"{name}"' not in script]
    assert missing == []
    assert translated(str.upper)["fair"] == "FAIR SHARE"
