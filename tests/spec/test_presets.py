"""Each preset makes a router and keeps every value it names; each router's card is filled in."""

import pytest

from moe_viz.moe import make_router
from moe_viz.spec import PRESETS, ROUTER_OPTIONS


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_makes_a_router(preset):
    options = dict(PRESETS[preset])
    router = make_router(options.pop("name"), d_model=16, n_experts=64, **options)
    assert router.options.model_dump() | options == router.options.model_dump()


@pytest.mark.parametrize("name", ROUTER_OPTIONS)
def test_facts_are_complete(name):
    facts = ROUTER_OPTIONS[name].facts
    assert 1988 < facts.year < 2027
    for word in ("title", "paper", "idea", "formula", "used_by", "cost", "fails"):
        assert getattr(facts, word), f"{name} has no {word}"
    assert facts.formula.count("{") == facts.formula.count("}")
