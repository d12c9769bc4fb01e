"""Progress as the browser keeps it: read whatever stands there, lose nothing of another course."""

import json

from hypothesis import given
from hypothesis import strategies as hs

from moe_viz.lessons import load
from moe_viz.lessons.progress import Progress

LESSON = load("en")[0]
anything = hs.recursive(
    hs.none() | hs.booleans() | hs.integers() | hs.floats() | hs.text(max_size=5),
    lambda inner: hs.lists(inner, max_size=3) | hs.dictionaries(hs.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_it_comes_back_as_it_was_kept():
    progress = Progress()
    progress.predicted["1.1"], progress.solved["1.1"] = 2, 150
    progress.answers["1"] = {"0": LESSON.quiz[0].right, "1": 0}
    again = Progress(json.loads(json.dumps(progress.to_json())))
    assert again.to_json() == progress.to_json()
    assert again.done(LESSON) == (1, 1)
    assert again.answer(LESSON, 0) == LESSON.quiz[0].right and again.answer(LESSON, 2) is None


def test_what_another_course_knew_is_kept_and_an_option_that_is_gone_is_no_answer():
    found = {"version": 99, "solved": {"42.7": 10}, "answers": {"1": {"0": 5}, "42": {"3": 1}}}
    progress = Progress(found)
    assert progress.to_json()["solved"] == {"42.7": 10} and progress.to_json()["answers"] == found["answers"]
    assert progress.answer(LESSON, 0) is None and progress.done(LESSON) == (0, 0)


def test_what_was_done_before_the_browser_told_stays():
    progress, told = Progress({"predicted": {"1.1": 0}}), Progress({"predicted": {"1.1": 2, "1.2": 1}, "answers": {"1": {"0": 1}}})  # fmt: skip
    progress.merge(told)
    assert progress.predicted == {"1.1": 0, "1.2": 1} and progress.answers == {"1": {"0": 1}}


@given(hs.dictionaries(hs.sampled_from(["predicted", "solved", "opened", "answers", "x"]), anything, max_size=5))
def test_nothing_that_a_browser_may_hold_does_harm(found):
    progress = Progress(found)
    progress.done(LESSON)
    assert Progress(progress.to_json()).to_json() == progress.to_json()
