"""Verdicts stay long enough to be read, on a clock that the test turns."""

import pytest

from moe_viz.records.narration import OVERFLOW, SLACK, UNEVEN
from moe_viz.records.verdict import STAYS_S, Verdicts, in_trouble
from tests.records.test_narration import EVEN, ONE_TAKES_ALL, moment


def busy(times):
    """A load of eight experts whose busiest has `times` its fair share."""
    return [times / 8, *[(1 - times / 8) / 7] * 7]


def test_a_verdict_stays_two_seconds_whatever_is_measured():
    verdicts, kinds = Verdicts(), []
    for tick in range(40):  # four looks a second; the load hovers about the threshold
        load = busy(2.4) if tick % 2 else busy(1.2)
        kinds.append(verdicts.feed(tick * 0.25, moment([load]))[0].kind)
    changes = [n for n in range(1, 40) if kinds[n] != kinds[n - 1]]
    assert set(kinds) == {"even_dropless", "uneven"}
    assert all(later - earlier >= STAYS_S / 0.25 for earlier, later in zip([0, *changes], changes, strict=False))


def test_leaving_a_verdict_takes_more_than_coming_to_it():
    verdicts = Verdicts()
    assert verdicts.feed(0, moment([busy(UNEVEN * 0.95)]))[0].kind == "even_dropless"
    assert verdicts.feed(10, moment([busy(UNEVEN * 1.05)]))[0].kind == "uneven"
    assert verdicts.feed(20, moment([busy(UNEVEN * 0.95)]))[0].kind == "uneven"
    assert verdicts.feed(30, moment([busy(UNEVEN * SLACK * 0.95)]))[0].kind == "even_dropless"
    dropping = Verdicts()
    assert dropping.feed(0, moment(drop=OVERFLOW * 0.9, capacity=9))[0].kind == "few_drops"
    assert dropping.feed(10, moment(drop=OVERFLOW * 1.1, capacity=9))[0].kind == "overflowing"
    assert dropping.feed(20, moment(drop=OVERFLOW * 0.9, capacity=9))[0].kind == "overflowing"


def test_a_verdict_that_is_held_says_what_was_true_when_it_was_last_measured():
    verdicts = Verdicts()
    assert "all 8 experts are at work" in verdicts.feed(0, moment())[0].text()
    held = verdicts.feed(1, moment([ONE_TAKES_ALL]))[0]
    assert held.kind == "even_dropless" and "the busiest takes 12 % of the routes" in held.text()
    assert verdicts.feed(2, moment([ONE_TAKES_ALL]))[0].kind == "collapsed"


def test_numbers_of_a_verdict_that_holds_are_those_of_now():
    verdicts = Verdicts()
    verdicts.feed(0, moment([busy(2.5)]))
    assert "3.5 ×" in verdicts.feed(0.1, moment([busy(3.5)]))[0].text()


@pytest.mark.parametrize("first, then", [({"step": 7}, {}), ({}, {"state": "diverged"}), ({}, {"k": 8})])
def test_what_follows_from_settings_or_age_comes_and_goes_at_once(first, then):
    verdicts = Verdicts()
    before = verdicts.feed(0, moment(**first))[0].kind
    assert verdicts.feed(0.1, moment(**then))[0].kind != before


def test_each_layer_has_its_own_verdict_and_the_one_not_shown_a_badge():
    told = Verdicts().feed(0, moment([EVEN, ONE_TAKES_ALL]))
    assert [(story.kind, story.layer) for story in told] == [("even_dropless", 0), ("collapsed", 1)]
    assert in_trouble(told, shown=0) == [1] and in_trouble(told, shown=1) == []
