"""The strip's payload against the story that it comes from: every number the cards', and none that they hide."""

import json

import numpy as np
import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as hs

from moe_viz.components import step_strip as view
from moe_viz.components.step_strip import CARDS, LABELS, pack_story
from moe_viz.records.step_story import Route, StepStory


def route(expert, **other) -> Route:
    values = {"gate": 0.5, "asked": 0.5, "weight": 0.5, "place": 2, "asked_of": 9, "kept": True, "active": 3, "hidden": 12}  # fmt: skip
    return Route(expert=expert, output=np.ones(3), gradient=None, **{**values, **other})


def tiny(**other) -> StepStory:
    """A token of three that goes to the second of four experts, written by hand."""
    values = {
        "step": 6, "layer": 0, "token": 1, "config": {"router": "topk"}, "names": np.array(["a", "b", "c"]),
        "first_expert": np.array([0, 1, 1]), "dropped": np.zeros(3, bool), "x": np.array([1.0, -2.0, 0.123456]),
        "seen": np.array([1.0, -2.0, 0.123456]), "row": None, "logits": np.array([0.25, 2.0, -1.0, 1.5]),
        "ranking": np.array([0.25, 2.0, -1.0, 1.5]), "score": None, "bias": None, "noisy": False, "plan": False,
        "softmax": True, "probs": np.array([0.1, 0.5, 0.03, 0.37]), "routes": [route(1)], "capacity": 4, "group_size": 3,
        "mix": None, "y": np.array([0.777, -0.5, 0.0]), "loss_before": 1.0, "loss_after": 0.9, "batch_before": 1.0,
        "batch_after": 0.9, "aux": {}, "dy": np.zeros(3), "dlogits": np.array([0.1, -0.2, 0.05, 0.05]), "dlogits_aux": {},
        "router_row": None,
    }  # fmt: skip
    return StepStory(**{**values, **other})


def test_pack_by_hand():
    packed = pack_story(tiny())
    assert packed["token"] == {"bars": [1.0, -2.0, 0.1235]}
    assert packed["scores"] == {"bars": [0.1, 0.5, 0.03, 0.37], "experts": [0, 1, 2, 3], "chosen": [1]}
    assert packed["choice"] == {"order": [1, 3, 0, 2], "chosen": [1], "more": False}
    assert packed["slot"] == {"queues": [{"expert": 1, "place": 2, "asked": 9, "kept": True, "capacity": 4}]}
    assert packed["expert"] == {"parts": [{"expert": 1, "share": 0.25}]}
    assert packed["sum"] == {"parts": [{"expert": 1, "share": 0.5}], "bars": [0.777, -0.5, 0.0]}
    assert packed["gradient"] == {"bars": [0.1, -0.2, 0.05, 0.05], "experts": [0, 1, 2, 3], "chosen": [1]}
    assert json.loads(json.dumps(packed, allow_nan=False)) == packed


def test_what_is_hidden_on_the_cards_is_not_in_the_picture():
    packed = pack_story(tiny(), hidden=True)
    assert packed["scores"]["bars"] == [0.25, 2.0, -1.0, 1.5], "the logits, which the cards give"
    assert packed["slot"]["queues"][0]["capacity"] is None
    assert packed["sum"] == {"parts": [], "bars": []}


def test_a_dropped_route_has_no_weight_in_the_sum():
    packed = pack_story(tiny(routes=[route(1), route(3, kept=False, weight=0.0, place=7)]))
    assert [part["expert"] for part in packed["sum"]["parts"]] == [1]
    assert [queue["kept"] for queue in packed["slot"]["queues"]] == [True, False]


def test_a_router_without_scores_choice_or_gradient_has_empty_pictures():
    packed = pack_story(tiny(logits=None, ranking=None, routes=[], dlogits=None))
    assert [packed[name]["bars"] for name in ("scores", "gradient")] == [[], []]
    assert packed["choice"]["order"] == [] and packed["slot"]["queues"] == packed["expert"]["parts"] == []
    assert [part["share"] for part in packed["sum"]["parts"]] == [0.1, 0.5, 0.03, 0.37], "shares of the output"


def test_of_many_experts_the_highest_ranked_are_shown_and_the_chosen_wherever_they_rank():
    ranking = -np.arange(64.0)
    packed = pack_story(tiny(logits=ranking, ranking=ranking, probs=np.full(64, 1 / 64), routes=[route(0), route(40)]))
    assert packed["choice"] == {"order": [0, 1, 2, 3, 4, 5, 6, 40], "chosen": [0, 40], "more": True}


@given(hs.lists(hs.floats(width=32), min_size=1, max_size=9))
def test_every_number_fits_into_json(values):
    packed = pack_story(tiny(x=np.array(values)))
    json.dumps(packed, allow_nan=False)
    assert len(packed["token"]["bars"]) == len(values)


def test_every_card_belongs_to_a_station_and_the_script_is_sent_until_the_page_has_it(monkeypatch):
    sent = {}
    monkeypatch.setattr(view, "_mount", lambda **data: sent.update(json.loads(data["data"])))
    state = {}
    monkeypatch.setattr(streamlit, "session_state", state)
    stations = pack_story(tiny())
    cards = dict.fromkeys([*stations, *CARDS, "check"], "1. Title")
    view.step_strip(tiny(), key="strip", figures=dict.fromkeys(stations, "0.5"), cards=cards)
    assert [station["name"] for station in sent["stations"]] == list(stations)
    assert {card["name"]: card["station"] for card in sent["cards"]} == {
        **{name: name for name in stations}, "loss": "gradient", "row": "gradient", "check": None,
    }  # fmt: skip
    assert sent["script"]["source"] and set(LABELS) == {*stations, "name"}
    state["strip"] = {"script": sent["script"]["version"]}
    view.step_strip(tiny(), key="strip", figures=dict.fromkeys(stations, "0.5"), cards=cards)
    assert sent["script"]["source"] is None


@pytest.mark.parametrize("label", LABELS.values())
def test_labels_pass_through_the_translation(label):
    assert view.translated(str.upper)[next(name for name, text in LABELS.items() if text == label)] == label.upper()
