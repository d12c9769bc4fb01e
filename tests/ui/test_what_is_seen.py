"""The line that says what is seen: right for every gate and task, in the reader's own words."""

import re

import pytest

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.ui.i18n import catalogue
from moe_viz.ui.what_is_seen import LINES, what_is_seen


def line(**words):
    return what_is_seen(RunConfig.from_flat(words).flat())


@pytest.mark.parametrize(
    "words, said",
    [
        ({}, "Each letter is sent to 2 of 8 small networks, the experts. Its colour says which."),
        ({"router": "switch"}, "Each letter is sent to one of 8 small networks, the experts. Its colour says which."),
        ({"task": "clusters", "router": "topk", "k": 4, "n_experts": 4}, "Each point is sent to all 4 small networks"),
        ({"task": "digits", "router": "hierarchical"}, "Each patch of an image is sent to 2 of 8 small networks"),
        ({"router": "gshard"}, "Each letter is sent to some of 8"),
        ({"router": "dense", "tokenizer": "bpe"}, "Each piece of text is sent to all 8"),
        ({"router": "expert_choice", "n_experts": 16}, "Each of 16 small networks, the experts, picks the letters"),
        ({"router": "soft", "task": "photo"}, "Each of 8 small networks, the experts, reads mixtures of all patches."),
        ({"router": "hash", "task": "plane"}, "Each point is sent to one of 8"),
    ],
)
def test_it_says_what_the_settings_do(words, said):
    assert line(**words).startswith(said)


@pytest.mark.parametrize("task", TASK_OPTIONS)
@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_every_gate_and_task_has_a_line_with_its_numbers(task, router):
    config = RunConfig.from_flat({"task": task, "router": router, "n_experts": 16}).flat()
    for language in ("en", "ru"):
        said = what_is_seen(config, catalogue(language).gettext)
        assert "16" in said and "{" not in said


def test_russian_keeps_every_number():
    russian = catalogue("ru").gettext
    for lines in LINES.values():
        for text in lines.values():
            assert russian(text) != text
            assert sorted(re.findall(r"{\w+}", russian(text))) == sorted(re.findall(r"{\w+}", text))
