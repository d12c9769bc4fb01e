"""The script's file: people can read it, it comes back as it was, and what is wrong in one is answered with its line and value."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_viz.records.json_lines import line_of, read_json
from moe_viz.records.script import MOST_EVENTS, End, Event, Figures, Provenance, Script
from moe_viz.records.script_file import MOST_BYTES, read_script, write_script
from moe_viz.spec import RunConfig
from moe_viz.spec.points import encode_points

PROVENANCE = Provenance(
    version="0.1.0", torch="2.0", numpy="2.0", cpu="x (AVX2)", device="cpu", threads=1, data={"a/b.txt": "0" * 64}
)


def script(**more) -> Script:
    config = RunConfig(task="plane", device="cpu", seed=3)
    events = (
        Event(epoch=0, step=4, what={"lr": 0.01, "capacity_factor": 2.0}, parameters="1" * 64),
        Event(epoch=0, step=4, what="step_once", parameters="1" * 64),
        Event(epoch=0, step=9, what="reset", parameters="2" * 64),
        Event(epoch=1, step=2, what={"n_experts": 4}, parameters="3" * 64),
        Event(epoch=2, step=7, what="diverged", to=5, parameters="4" * 64),
        Event(epoch=2, step=5, what={"lr": 0.001}, parameters="4" * 64),
        Event(epoch=3, step=8, what="moved", on=PROVENANCE, parameters="5" * 64),
    )
    end = End(epoch=3, step=11, parameters="6" * 64)
    figures = Figures(columns=["loss", "cv.0"], rows=[[0, 1, 0.5, None], [3, 11, 0.25, 1.5]])
    return Script(
        **{"config": config, "events": events, "end": end, "provenance": PROVENANCE, "figures": figures, **more}
    )


TEXT = write_script(script())


def test_what_is_written_is_read_again():
    assert read_script(TEXT) == script() == read_script(TEXT.encode())


def test_the_file_says_its_schema_and_what_follows_it():
    found = json.loads(TEXT)
    schema = Script.model_json_schema()
    assert found["schema"] == 1 and found["kind"] == "network" and found["config"]["device"] == "cpu"
    assert set(schema["required"]) <= found.keys() <= schema["properties"].keys()
    assert all(line.count("\n") == 0 for line in re.findall(r'  \{"epoch".*', TEXT)), "one event a line"
    assert len(re.findall(r'^  \{"epoch"', TEXT, re.MULTILINE)) == 7


def test_the_steps_of_all_epochs_are_counted_those_undone_too():
    assert script().n_steps() == 9 + 2 + 7 + 6  # epochs 0 and 1, epoch 2 to its divergence, and from its step 5 to 11


def line(word: str) -> int:
    return next(number for number, text in enumerate(TEXT.splitlines(), 1) if word in text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"lr": 0.01', '"lr": 7.5', "lr = 7.5: Input should be less than or equal to 1"),
        ('"lr": 0.01', '"lrr": 0.01', "lrr = 0.01: not a knob"),
        ('"capacity_factor": 2.0', '"capacity_factor": 2000', "capacity_factor = 2000"),
        ('"capacity_factor": 2.0', '"capacity_factor": [2]', "[2]"),
        ('"step": 9, "what": "reset"', '"step": 3, "what": "reset"', "step 3 of epoch 0 cannot come after step 4 of epoch 0"),
        ('"epoch": 1, "step": 2', '"epoch": 0, "step": 20', "step 20 of epoch 0 cannot come after step 0 of epoch 1"),
        ('"epoch": 0, "step": 9', '"epoch": 0, "step": -9', "step = -9"),
        ('"what": "reset"', '"what": "rest"', "'rest' is not an operation known here"),
        ('"to": 5', '"to": 50', "“to” = 50 is no step to go back to"),
        ('"schema": 1', '"schema": 2', "schema = 2: written by a newer version"),
        ('"seed": 3', '"seed": -3', "seed = -3"),
        ('"seed": 3', '"sseed": 3', "sseed = 3: not a knob"),
        ('"task": "plane"', '"task": "plain"', "task = 'plain'"),
        ('"threads": 1,', '"threads": 0,', "threads = 0"),
        ('"epoch": 3, "step": 11', '"epoch": 3, "step": 2', "step 2 of epoch 3 cannot come after step 8"),
        ('"' + "2" * 64, '"' + "z" * 64, "String should match pattern"),
        ('"seed": 3', '"seed": 3 "x"', "is not JSON"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_line(old, new, said):
    assert TEXT.count(old) >= 1
    with pytest.raises(ValueError) as refused:
        read_script(TEXT.replace(old, new, 1))
    assert said in str(refused.value) and str(refused.value).startswith(f"line {line(old)}: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: the file ends in the middle"),
        (b"[]", "not a script"),
        (b"{}", "not a script"),
        (b"\xff\xfe{", "not text (its byte 0"),
        (TEXT[: len(TEXT) // 2].encode(), "the file ends in the middle"),
        (b" " * (MOST_BYTES + 1), "the file has 64 MB; a script has at most 64 MB"),
        (b"[" * 200_000, "not JSON"),
        (TEXT.replace('"seed": 3', '"seed": 3, "seed": 4').encode(), "'seed' stands twice"),
        (TEXT.replace('"lr": 0.01', '"lr": NaN').encode(), "NaN"),
        (TEXT.replace('"kind": "network"', '"kind": "cat"').encode(), "kind = 'cat'"),
        (TEXT.replace('"seed": 3', '"seed": ' + "9" * 6000).encode(), "not JSON"),
    ],
)
def test_a_file_that_is_no_script_is_refused_in_words(data, said):
    with pytest.raises(ValueError) as refused:
        read_script(data)
    assert said in str(refused.value) and len(str(refused.value)) < 400


def test_more_events_than_a_script_holds_are_refused():
    found = json.loads(TEXT)
    found["events"] = [{"epoch": 0, "step": 0, "what": "step_once"}] * (MOST_EVENTS + 1)
    with pytest.raises(ValueError, match="100001 events; a script has at most 100000"):
        read_script(json.dumps(found))


def test_any_cut_of_a_script_is_refused_in_one_line():
    for end in range(0, len(TEXT) - 2, 37):
        with pytest.raises(ValueError) as refused:
            read_script(TEXT[:end])
        assert "\n" not in str(refused.value)


@given(st.data())
def test_any_changed_character_gives_a_script_or_one_line_of_words(data):
    place = data.draw(st.integers(0, len(TEXT) - 1))
    changed = TEXT[:place] + data.draw(st.sampled_from('0123456789"{}[],:.-ax \n')) + TEXT[place + 1 :]
    try:
        read_script(changed)
    except ValueError as error:
        assert len(str(error)) < 600


def test_the_readers_own_data_can_be_held_back_and_given_later():
    painted = encode_points([(10, 20, 0), (200, 30, 1)])
    config = RunConfig(task={"name": "plane", "points": painted}, device="cpu")
    whole = Script(config=config, end=End(epoch=0, step=5), provenance=PROVENANCE)
    assert painted in write_script(whole) and read_script(write_script(whole)) == whole
    held_back = write_script(whole, own=False)
    assert painted not in held_back
    lacking = read_script(held_back)
    assert len(lacking.missing) == 1 and write_script(lacking, own=False).count(lacking.missing[0]) >= 1
    assert read_script(held_back, own=["something else", painted]) == whole
    with pytest.raises(ValueError, match="does not have this hash"):
        read_script(write_script(whole).replace(json.dumps(painted), json.dumps(painted[:-4])))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 0, 1, 3]))
def test_the_line_of_a_value_is_that_of_any_layout(value, indent):
    text = json.dumps({"before": [1, "x,]}"], "it": value}, indent=indent)
    assert read_json(text) == {"before": [1, "x,]}"], "it": value}

    def check(inside, path):
        at = line_of(text, path)
        first = json.dumps(inside)[:1]
        assert first in text.splitlines()[at - 1]
        if isinstance(inside, dict):
            for key, item in inside.items():
                check(item, (*path, key))
        elif isinstance(inside, list):
            for key, item in enumerate(inside):
                check(item, (*path, key))

    check(value, ("it",))
