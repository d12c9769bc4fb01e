"""The fold of signals in the lab: every layer's number and the percentiles are those of the moment, and each name is defined."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.records.metric_info import METRICS
from moe_viz.records.signals import signals
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.lab.signals import beside_load, by_layer, signals_fold


@pytest.fixture(scope="module")
def moment():
    trainer = Trainer(RunConfig(task="clusters", router="switch", n_layers=2, n_experts=4, batch_tokens=64))
    trainer.run(3)
    return trainer.snapshot()


def test_rows_say_what_they_are_of(moment):
    found = signals(moment.traces, moment.config)
    table = by_layer(found, {"max_load": moment.metrics["max_load"]})
    assert list(table)[:4] == ["Metric", "of", "Layer 1", "Layer 2"] and "50 % of layers" in table
    assert table["of"].tolist() == ["probe batch"] * 3 + ["mean of the last 10 training steps"]
    assert table["Layer 2"].tolist() == [values[1] for values in found.values()] + [moment.metrics["max_load"][1]]


def test_gate_mass_stands_beside_load(moment):
    table = beside_load(moment, 1)
    assert table["load"].tolist() == moment.metrics["load"][1]
    assert table["importance"].tolist() == moment.metrics["importance"][1]


def test_an_open_fold_defines_what_it_shows(moment):
    def page(draw, shown):
        import streamlit as st

        st.session_state["signals"] = True
        draw(shown, 0)

    at = AppTest.from_function(page, kwargs={"draw": signals_fold, "shown": moment}, default_timeout=30).run()
    assert not at.exception and len(at.dataframe) == 2
    said = "\n".join(element.value for element in at.markdown)
    for name in ("confidence", "margin", "experts_touched", "importance"):
        assert METRICS[name].title in said
