"""The Gates page without a browser: what each router takes from the shared knobs, and a card for each router from its facts alone."""

from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.spec import PRESETS, ROUTER_OPTIONS, RunConfig, causality, router_options
from moe_viz.spec.causality import ORDER, SIZE
from moe_viz.spec.describe import bounds
from moe_viz.spec.routers import FAMILIES, OFFERED
from moe_viz.spec.routers.base import CHOOSERS
from moe_viz.ui.gates.comparison import Comparison, config_of
from moe_viz.ui.gates.gallery import example, link
from moe_viz.ui.session.permalink import decode

SCRIPT = """
from moe_viz.ui.gates.comparison import Comparison
from moe_viz.ui.gates.gallery import gallery
gallery(Comparison())
"""
EXAMPLES = [(name, None) for name in ROUTER_OPTIONS] + [(values["name"], values) for values in PRESETS.values()]


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_all_share_everything_but_the_router(router):
    base = RunConfig(task="clusters", router={"name": "topk", "k": 3}, n_experts=8, balance_coef=0.3, speed=5, seed=9)
    config = config_of(router, base)
    own = type(config.router).model_fields
    assert config.router.name == router
    assert {k: v for k, v in config.model_dump().items() if k != "router"} == {
        k: v for k, v in base.model_dump().items() if k != "router"
    }
    if "k" in own:
        low, high = bounds(own["k"])
        assert config.router.k == (3 if low <= 3 <= high else own["k"].default)
    if router == "expert_choice":
        assert config.router.capacity_factor == 3


@pytest.mark.parametrize(
    ("routers", "k", "capacity"),
    [
        (["topk"], True, True),
        (["switch"], False, True),
        (["soft", "dense", "hash"], False, False),
        (["expert_choice"], True, False),
        (["remoe", "soft"], True, False),
    ],
)
def test_options_that_no_chosen_router_has_are_not_offered(routers, k, capacity):
    found = Comparison(routers=routers)
    assert (found.offers("k"), found.offers("capacity_factor"), found.offers("balance_coef")) == (k, capacity, True)


def test_routers_that_see_the_future_are_told_on_text_only():
    routers = ["topk", "expert_choice", "soft"]
    assert Comparison(routers=routers).leaks == [False, True, True]
    assert Comparison(base=RunConfig(task="digits", router="topk"), routers=routers).leaks == [False] * 3
    short = RunConfig(task="domains", router={"name": "topk", "k": 2, "capacity_factor": 1.0})
    found = Comparison(base=short, routers=["topk", "switch", "hash"])
    assert [one.reason for one in found.causality] == [ORDER, SIZE, ""] and found.leaks == [True, True, False]


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
def test_a_cards_link_opens_exactly_its_run(name, options):
    config, found = decode(dict(parse_qsl(link(name, options).partition("?")[2])))
    assert not found and config == example(name, options)
    assert config.router.name == name
    for word, value in (options or {}).items():
        assert getattr(config.router, word) == value
    found = causality(config.router, config.n_experts)
    assert (config.task.name != "domains") == (found.source in ("gate", "policy"))


def test_every_gate_stands_in_one_family():
    assert sorted(OFFERED) == sorted(ROUTER_OPTIONS) and set(FAMILIES) == set(CHOOSERS)


@pytest.fixture(scope="module")
def page():
    return AppTest.from_string(SCRIPT, default_timeout=30).run()


def cards(at):
    return [box.label for box in at.expander]


def test_there_is_one_card_per_router_and_it_warns_of_the_future(page):
    assert not page.exception
    assert len(cards(page)) == len(ROUTER_OPTIONS)
    for label, name in zip(cards(page), OFFERED, strict=True):
        facts = ROUTER_OPTIONS[name].facts
        assert facts.title in label and str(facts.year) in label and facts.idea in label
        assert ("looks at future tokens" in label) == (not causality(router_options(name), 8))


def test_an_open_card_says_why_it_is_not_causal_and_what_short_buffers_do():
    at = AppTest.from_string(SCRIPT, default_timeout=30)
    for name in ("expert_choice", "topk", "switch", "dense"):
        at.session_state[f"card_{name}"] = True
    said = [text.value for text in at.run().markdown]
    assert f"**Not causal** · {router_options('expert_choice').looks_ahead(8)}" in said
    for reason in (ORDER, SIZE):
        assert any(text.startswith("**Causal** · ") and reason in text for text in said)
    assert sum("ausal** · " in text for text in said) == 3


def test_filters_leave_the_cards_that_fit(page):
    page.text_input(key="gallery_search").set_value("deepseek-v3").run()
    assert len(cards(page)) == 1 and "DeepSeek-V3" in cards(page)[0]
    page.text_input(key="gallery_search").set_value("").run()
    page.multiselect(key="gallery_families").set_value(["expert", "nobody"]).run()
    assert [card.split("**")[1] for card in cards(page)] == ["Expert choice", "Dense softmax gate", "Soft MoE"]
    assert [text.value for text in page.markdown] == [
        "##### Each expert chooses its tokens",
        "##### Nobody chooses: answers are blended",
    ]
    page.multiselect(key="gallery_families").set_value([]).run()
    page.slider(key="gallery_years").set_value((1991, 1999)).run()
    assert len(cards(page)) == 2 and all("1991" in card for card in cards(page))
    page.slider(key="gallery_years").set_value((1991, 2026)).run()
    assert len(cards(page)) == len(ROUTER_OPTIONS)
