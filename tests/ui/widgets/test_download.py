"""What files say about themselves beyond one run: several runs in one stamp, whole histories, stories and maps as plain tables."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from moe_viz.engine.protocol import WorkerLost
from moe_viz.records import gate_map, step_story, table_files
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.widgets import download as menu
from tests.records.gate_map_field import field_of

SMALL = {"task": "clusters", "n_experts": 4, "d_model": 8, "d_hidden": 8, "batch_tokens": 64, "device": "cpu"}


def test_a_stamp_names_the_values_of_all_runs_where_they_differ():
    config = RunConfig.from_flat(SMALL).flat()
    assert menu.stamp(config).endswith("seed 0 · step {step}") and " / " not in menu.stamp(config)
    said = menu.stamp(config, 7, {"second": {"balance_coef": 0.5}, "third": {"seed": 1, "lr": 0.1}})
    assert f"balance_coef {config['balance_coef']:g} / 0.5" in said and "seed 0 / 1" in said and said.endswith("step 7")
    assert f"lr {config['lr']:g} / 0.1" in said, "a knob that is not always named is, where it differs"


def test_every_row_asks_for_each_run_and_falls_back_to_what_the_page_has(monkeypatch):
    class Engine:
        def all_rows(self, run):
            if run == "gone":
                raise WorkerLost("gone")
            return pd.DataFrame({"step": [1, 2, 3]})

    monkeypatch.setattr(menu, "engine", Engine)
    thin = pd.DataFrame({"step": [1, 3]})
    assert menu.every_row({"lab": "a"}, [thin])()["step"].tolist() == [1, 2, 3]
    both = menu.every_row({"one": "a", "two": "gone", "recorded": None}, [thin] * 3)()
    assert both.groupby("run")["step"].count().to_dict() == {"one": 3, "recorded": 2, "two": 2}


def test_other_runs_travel_in_both_kinds_of_files():
    said = table_files.about("twins", {"seed": 0}, 3, others={"second": {"balance_coef": 0.5}})
    table = pd.DataFrame({"a": [1]})
    assert table_files.read_parquet(table_files.to_parquet(table, said))[1]["other_runs"]["second"] == {
        "balance_coef": 0.5
    }
    assert table_files.read_csv(table_files.to_csv(table, said))[1]["other_runs.second"] == {"balance_coef": 0.5}


def test_a_story_as_a_table_holds_its_numbers():
    trainer = Trainer(RunConfig.from_flat({**SMALL, "router": "switch"}))
    trainer.run(3)
    story = trainer.dissect(5, 0)
    table = step_story.to_frame(story).set_index(["quantity", "index"])["value"]
    assert table[("probs", 2)] == pytest.approx(story.probs[1])
    assert table[("routes.1.gate", 0)] == pytest.approx(story.routes[0].gate)
    assert table[("router_row.after", 0)] == pytest.approx(story.router_row.after)
    assert not any(name.startswith("config") for name, _ in table.index)


def test_a_map_as_a_table_has_a_row_for_each_place():
    trainer = Trainer(RunConfig.from_flat({**SMALL, "task": "plane"}))
    found = trainer.gate_map(0, 16)
    table = gate_map.to_frame(found)
    assert len(table) == 256
    row, column = field_of(0.3, -0.6, 16)
    place = table.iloc[((table["x"] - 0.3) ** 2 + (table["y"] + 0.6) ** 2).idxmin()]
    assert place["expert"] == found.owner[row, column] + 1
    probs = [place[f"probability_{expert + 1}"] for expert in range(4)]
    np.testing.assert_allclose(probs, found.probs[row, column], rtol=1e-5)


def test_a_frame_shows_the_presented_lab_and_nothing_of_a_link_ends_its_markup():
    (found,) = Frames.of(menu.frame('http://lab.example/?v=1&task=clusters&said="><script>'))
    assert found["src"] == 'http://lab.example/?v=1&task=clusters&said="><script>&present=1&embed=true'
    assert found["title"]


class Frames(HTMLParser):
    @classmethod
    def of(cls, text):
        parser = cls()
        parser.found = []
        parser.feed(text)
        return parser.found

    def handle_starttag(self, tag, attrs):
        assert tag == "iframe"
        self.found.append(dict(attrs))
