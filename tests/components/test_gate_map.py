"""The gate map's payload against the map it comes from, what the page may send back, and the bundle the browser gets."""

import base64
import json

import numpy as np
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as hs

from moe_viz.components.bundle import bundle
from moe_viz.components.gate_map import LABELS, asked_points, pack_map, translated
from moe_viz.records.gate_map import GateMap, dead_owners, regions


def tiny(**other) -> GateMap:
    """Two by two places, three experts, written by hand: the upper right has no expert."""
    values = {
        "step": 9, "epoch": 1, "layer": 0, "router": "topk",
        "owner": np.array([[0, 1], [2, -1]], np.int16),
        "probs": np.array([[[0.5, 0.25, 0.25], [0, 1, 0]], [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4]]], np.float32),
        "prediction": np.array([[0, 3], [1, -1]], np.int16),
        "points": np.array([[-1, 1], [0, 0.5]], np.float32), "classes": np.array([2, 0], np.int16),
        "held_out_owner": np.array([0, 0, 2, -1], np.int16), "held_out_correct": np.array([True, False, True, False]),
        "batch_dependent": False,
    }  # fmt: skip
    return GateMap(**{**values, **other})


def unpacked(text, kind="u1"):
    return np.frombuffer(base64.b64decode(text), kind).tolist()


def test_pack_by_hand():
    packed = pack_map(tiny())
    assert unpacked(packed["owner"]) == [1, 2, 3, 0]
    assert unpacked(packed["prediction"]) == [1, 4, 2, 0]
    shown = np.array(unpacked(packed["probs"], "<u2")) * packed["unit"]
    assert shown == pytest.approx([0.5, 0, 0.2, 0.3, 0.25, 1, 0.2, 0.3, 0.25, 0, 0.6, 0.4], abs=5e-4)
    assert packed["points"] == [0, 255, 2, 128, 191, 0]
    assert (packed["resolution"], packed["n_experts"], packed["follows"]) == (2, 3, False)
    json.dumps(packed, allow_nan=False)


def test_gates_beyond_one_and_missing_numbers_are_packed():
    packed = pack_map(tiny(probs=np.array([[[4, 0, 0], [0, 2, 0]], [[0, 0, np.nan], [0, 0, 1]]], np.float32)))
    assert np.array(unpacked(packed["probs"], "<u2")) * packed["unit"] == pytest.approx(
        [4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1], abs=1e-3
    )


def test_borders_may_glide_only_where_the_owner_is_the_most_probable():
    assert pack_map(tiny(owner=np.array([[0, 1], [2, 2]], np.int16)))["follows"]
    assert not pack_map(tiny(owner=np.array([[0, 1], [2, 0]], np.int16)))["follows"]


def test_the_table_by_hand():
    table = regions(tiny())
    assert table["expert"].fillna(-1).tolist() == [0, 1, 2, -1]
    assert table["share"].tolist() == [0.25] * 4
    assert table["mean_probability"].fillna(-1).tolist() == pytest.approx([0.5, 1, 0.6, -1], abs=1e-3)
    assert table["held_out"].tolist() == [2, 0, 1, 1]
    assert table["accuracy"].fillna(-1).tolist() == [0.5, -1, 1, 0]


def test_size_of_default_payload():
    shape = (64, 64)
    found = tiny(
        owner=np.zeros(shape, np.int16), probs=np.ones((*shape, 8), np.float32), prediction=np.zeros(shape, np.int16)
    )
    assert len(json.dumps(pack_map(found))) < 110_000


@pytest.fixture
def page(monkeypatch):
    state = {}
    monkeypatch.setattr(st, "session_state", state)
    return state


def test_what_was_painted_is_read(page):
    assert asked_points("map") is None
    page["map"] = {"painted": {"points": "AP8DAQIA", "stamp": 2.5}}
    assert asked_points("map") == ("AP8DAQIA", 2.5)


JSON = hs.recursive(hs.none() | hs.booleans() | hs.floats() | hs.integers() | hs.text(max_size=12), lambda inner: hs.lists(inner, max_size=3) | hs.dictionaries(hs.sampled_from(["points", "stamp", "x"]), inner, max_size=3))  # fmt: skip


@given(JSON)
def test_whatever_the_page_sends_is_points_or_is_refused(sent):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", {"map": {"painted": sent}})
        try:
            found = asked_points("map")
        except ValueError as error:
            assert str(error)
        else:
            assert found is None or (isinstance(found[0], str) and len(found[0]) % 4 == 0)


def test_every_word_the_script_says_is_a_label():
    script = bundle("gate_map")
    assert [name for name in LABELS if f'"{name}"' not in script and f"labels.{name}" not in script] == []
    assert translated(str.upper)["erase"] == "ERASE"


def test_experts_that_are_dead_in_training_and_own_places_are_named():
    found = tiny()
    owners = sorted(set(found.owner.ravel().tolist()) - {-1})
    load = np.full(found.n_experts, 1 / found.n_experts)
    assert dead_owners(found, load.tolist()) == []
    load[owners[0]] = 0.0
    assert dead_owners(found, load.tolist()) == [owners[0]]
    idle = [expert for expert in range(found.n_experts) if expert not in owners]
    load[idle] = 0.0
    assert dead_owners(found, load.tolist()) == [owners[0]], "one that owns nothing here contradicts nobody"
    assert dead_owners(found, None) == [] and dead_owners(found, [None] * found.n_experts) == []
