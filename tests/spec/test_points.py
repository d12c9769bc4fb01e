"""Painted points as a word: what is written is read back, and anything else is refused with what is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_viz.spec import RunConfig
from moe_viz.spec.points import MOST_POINTS, decode_points, encode_points
from moe_viz.ui.session.permalink import decode, encode

POINTS = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 3)), max_size=MOST_POINTS)


def test_by_hand():
    assert encode_points([]) == "" and decode_points("") == []
    assert encode_points([(0, 255, 3), (1, 2, 0)]) == "AP8DAQIA"


@given(POINTS)
def test_round_trip_also_through_a_link(points):
    text = encode_points(points)
    assert decode_points(text) == points
    config = RunConfig(task={"name": "plane", "points": text})
    assert decode(encode(config)) == (config, [])


@given(st.text(max_size=24) | st.text(alphabet="ABCD_-+/= ", max_size=1700))
def test_any_text_is_points_or_is_refused(text):
    try:
        points = decode_points(text)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        assert decode({"task": "plane", "points": text})[0].task.points == ""
    else:
        assert encode_points(points) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AAA", "four characters each"),
        ("AAA=", "not '='"),
        ("AAAE", r"class 4 of point \(0, 0\) is not 0 to 3"),
        ("A" * 1604, "at most 400"),
        ("ÄAAA", "not 'Ä'"),
    ],
)
def test_the_refusal_names_the_rule(text, said):
    with pytest.raises(ValueError, match=said):
        decode_points(text)


@pytest.mark.parametrize("point", [(256, 0, 0), (0, -1, 0), (0, 0, 4)])
def test_points_off_the_grid_are_not_written(point):
    with pytest.raises(ValueError, match="is"):
        encode_points([point])
    with pytest.raises(ValueError, match="401 points are too many"):
        encode_points([(0, 0, 0)] * 401)
