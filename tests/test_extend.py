"""docs/extend.md is true: the places that it names exist, and a router, a page and a metric each need only what it says."""

import re

import pytest
import torch

from moe_viz.moe import ROUTERS, Experts, MoELayer, TokenChoiceRouter, make_router
from moe_viz.records.metric_info import METRICS
from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.spec.routers.token_choice import TopK
from moe_viz.training import Trainer
from moe_viz.training.metrics import measure
from tests.test_house import ROOT

TEXT = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
SMALL = {"task": "clusters", "n_layers": 1, "d_model": 16, "d_hidden": 16, "batch_tokens": 64}


def test_every_place_it_names_exists():
    for place in re.findall(r"`((?:moe_viz|tests|pages)/[\w./<>]*|app\.py)`", TEXT):
        assert (ROOT / place.replace("<page>", "lab")).exists(), place


def test_a_router_needs_options_a_module_and_two_lines(monkeypatch):
    class LastK(TopK):
        name: str = "last_k"

    class LastKRouter(TokenChoiceRouter):
        """Prefers the experts with the lowest scores."""

        def ranking(self, c):
            return -super().ranking(c)

    monkeypatch.setitem(ROUTER_OPTIONS, "last_k", LastK)
    monkeypatch.setitem(ROUTERS, "last_k", LastKRouter)
    layer = MoELayer(make_router("last_k", 8, 4, k=2), Experts(4, 8, 8))
    x = torch.randn(6, 8)
    y, routing = layer(x)
    assert y.shape == x.shape and routing.aux.keys() == {"balance", "z"}
    lowest = routing.probs.argsort(1)[:, :2].sort().values
    assert torch.equal(routing.expert_idx.view(6, 2).sort().values, lowest)


def test_a_metric_needs_a_function_and_its_definition(monkeypatch):
    monkeypatch.setitem(measure.PER_LAYER, "least_load", lambda window: window.load.min(-1))
    monkeypatch.setitem(METRICS, "least_load", METRICS["max_load"])
    trainer = Trainer(RunConfig(**SMALL))
    trainer.run(3)
    metrics = trainer.snapshot().metrics
    assert metrics["least_load"] == pytest.approx([min(metrics["load"][0])])
    assert "least_load.0" in trainer.history.rows()


def test_every_measured_metric_has_a_definition():
    assert {*measure.PER_LAYER, *measure.PER_EXPERT} <= METRICS.keys()


def test_each_stub_calls_its_pages_draw():
    for stub in (ROOT / "pages").glob("*.py"):
        called = re.search(
            r"from moe_viz\.ui\.(\w+)\.page import draw\n\ndraw\(\)\n$", stub.read_text(encoding="utf-8")
        )
        assert called and (ROOT / "moe_viz" / "ui" / called.group(1) / "page.py").exists(), stub
        assert f'"pages/{stub.name}"' in (ROOT / "app.py").read_text(encoding="utf-8")
