"""The map of the glossary: every word has its place, all hang together, and a file that is wrong is refused with its line."""

import re

import pytest

from moe_viz.lessons.glossary import GlossaryError, glossary
from moe_viz.lessons.word_map import read_map, word_map
from moe_viz.spec import RunConfig
from moe_viz.ui.glossary.page import LOOKS
from tests.test_house import ROOT

PAGES = {""} | {path.stem for path in (ROOT / "pages").glob("*.py")}


def test_every_word_has_a_place_and_every_place_a_word():
    assert sorted(word_map()) == sorted(glossary("en"))


def test_every_word_is_reached_from_every_other_one():
    places = word_map()
    reached, ahead = set(), ["token"]
    while ahead:
        if (name := ahead.pop()) not in reached:
            reached.add(name)
            ahead += places[name].near
    assert reached == set(places)
    assert max(len(place.near) for place in places.values()) <= 9, "a word with more neighbours than can be looked at"


def test_neighbours_are_so_in_both_directions():
    places = word_map()
    for name, place in places.items():
        assert all(name in places[near].near for near in place.near), name
        assert len(set(place.near)) == len(place.near)


def test_what_can_be_seen_live_is_a_page_something_to_look_at_and_settings_of_a_run():
    seen = [place.see for place in word_map().values() if place.see is not None]
    assert len(seen) > 40
    assert {live.page for live in seen} <= PAGES and {live.look for live in seen} == set(LOOKS)
    for live in seen:
        flat = RunConfig.from_flat(live.knobs).flat()
        assert {word: flat[word] for word in live.knobs} == live.knobs


def test_formulas_have_even_braces():
    formulas = [place.formula for place in word_map().values() if place.formula]
    assert len(formulas) > 30
    for formula in formulas:
        assert formula.count("{") == formula.count("}") and len(re.findall(r"\\left(?!a)", formula)) == formula.count(
            r"\right"
        ), formula


GOOD = "token: {topic: layer, near: [gate]}\ngate: {topic: layer, near: []}\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (GOOD + "loss: {topic: nowhere, near: []}\n", 3, "topic"),
        (GOOD + "loss: {topic: layer, near: [lost]}\n", 3, "no other word 'lost'"),
        (GOOD + "loss: {topic: layer, near: [loss]}\n", 3, "no other word 'loss'"),
        (GOOD + "loss: {topic: layer}\n", 3, "near: Field required"),
        (GOOD + "loss: {topic: layer, near: [], see: {page: '', look: x, knobs: {k: many}}}\n", 3, "see.knobs"),
        (GOOD + "loss: {topic: layer, near: [], colour: red}\n", 3, "not permitted"),
        (GOOD + "token: {topic: layer, near: []}\n", 3, "twice"),
        (GOOD + "loss: [\n", 4, "expected"),
        ("- token\n", 1, "mapping"),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_its_name_and_line(tmp_path, text, line, what):
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GlossaryError, match=re.escape(f"{path}, line {line}: ")) as refused:
        read_map(path)
    assert what in str(refused.value)


def test_neighbours_of_a_map_by_hand(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(GOOD + "loss: {topic: layer, near: [token]}\n", encoding="utf-8")
    near = {name: place.near for name, place in read_map(path).items()}
    assert near == {"token": ("gate", "loss"), "gate": ("token",), "loss": ("token",)}
