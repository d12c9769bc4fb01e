"""Titles say which batch the numbers are of, every text reads on its background, and what would be empty is not drawn."""

import numpy as np
import pytest

from moe_viz.charts import collapse, palette, plotly_charts, side_by_side, time_series
from moe_viz.charts.load import load_over_time
from moe_viz.charts.style import DROPLESS, SMALL, enlarged, in_theme, nothing_can_drop
from moe_viz.records.collapse import ledger
from tests.charts.contrast import contrast
from tests.charts.test_time_series import charts_of, history
from tests.records.traces import seeded_trace

TRACE = seeded_trace(1, k=2, n_experts=4)


def every_chart():
    found = charts_of(history(), TRACE)
    measured = {"load": [[0.25] * 4], "grad_share": [[0.25] * 4], "router_grad_share": [[0.25] * 4]}
    found |= {"ledger": collapse.ledger_bars(ledger(measured, 0)), "push": collapse.push_scatter(TRACE)}
    return found | {"marked": collapse.with_marks(found["load"], [(3, "1")])}


def text_colours(spec):
    """The colours of all text that stands on the page's background: axes, legends, titles, and marks without a colour of their own."""
    config = spec["config"]
    for part, names in {"axis": ("labelColor", "titleColor"), "legend": ("labelColor", "titleColor"), "title": ("color", "subtitleColor"), "text": ("color",)}.items():  # fmt: skip
        yield from (config[part][name] for name in names)
    for layer in spec["layer"]:
        mark = layer["mark"] if isinstance(layer["mark"], dict) else {"type": layer["mark"]}
        if mark["type"] == "text" and "color" in mark:
            yield mark["color"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_of_charts_reads_on_its_background(theme):
    for name, chart in every_chart().items():
        for colour in text_colours(in_theme(chart.spec, theme)):
            assert contrast(colour, palette.PAPER[theme]) >= 4.5, (name, colour)
    figure = plotly_charts.stamped(plotly_charts.balance_scatter(TRACE, theme), "made by this").figure
    for note in figure.layout.annotations:
        assert contrast(note.font.color or figure.layout.font.color, palette.PAPER[theme]) >= 4.5, note.text


def test_a_theme_changes_colours_alone():
    spec = load_over_time(history(), 0, 4).spec
    assert in_theme(spec, "dark")["layer"] == spec["layer"] and "labelColor" not in spec["config"]["axis"]


def test_titles_say_of_which_batch_the_numbers_are():
    subtitles = {name: chart.spec["title"].get("subtitle", "") for name, chart in every_chart().items()}
    for name in ("load", "dropped", "dropped in two layers", "entropies", "ledger"):
        assert "mean of the last 10 training steps" in subtitles[name], name
    for name in ("per token", "capacity", "position", "group", "expert", "frequency", "settled", "push"):
        assert subtitles[name] == "probe batch", name
    assert subtitles["loss"] == subtitles["twins"] == ""
    assert "share of routes" in subtitles["load"] and "share of routes" in subtitles["dropped"]


def test_every_band_of_the_load_has_its_number_somewhere():
    for n_experts in (2, 8, 16):
        chart = load_over_time(history(20, n_experts), 0, n_experts)
        legend = chart.spec["layer"][0]["encoding"]["color"]["legend"]
        assert legend["title"] == "expert" and legend["columns"]["expr"].startswith(f"min({n_experts},")
    assert any(tip["field"] == "number" for tip in chart.spec["layer"][0]["encoding"]["tooltip"])


def test_a_dropless_run_has_a_line_in_place_of_an_empty_panel():
    assert nothing_can_drop([None, None], [0.0, np.nan]) and nothing_can_drop([None], [])
    assert not nothing_can_drop([None, 4], [0.0]), "there are buffers: zero is worth seeing"
    assert not nothing_can_drop([None], [0.0, 0.2]), "there were buffers, and they dropped something"
    assert "Dropless" in DROPLESS


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_all_charts_has_one_size_below_the_title(theme):
    for name, chart in every_chart().items():
        spec = in_theme(chart.spec, theme)
        sizes = {
            spec["config"]["legend"]["labelFontSize"],
            spec["config"]["axis"]["labelFontSize"],
            spec["title"].get("subtitleFontSize", SMALL),
        }
        assert sizes == {SMALL}, name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_curve_runs_through_the_name_of_another(theme):
    runs = {name: history().assign(loss=1.0 + i) for i, name in enumerate(("A", "B", "C"))}
    plain = side_by_side.differences(runs, "loss", "Loss").spec["layer"]
    *_curves, halo, names = in_theme(side_by_side.differences(runs, "loss", "Loss").spec, theme)["layer"]
    assert names == plain[-1] and halo["encoding"] == names["encoding"] and halo["transform"] == names["transform"]
    assert halo["mark"]["stroke"] == halo["mark"]["color"] == palette.PAPER[theme]


def test_a_big_screens_chart_has_every_length_enlarged_and_its_data_untouched():
    chart = time_series.dropped_over_time(history(), [0, 1])
    spec = in_theme(chart.spec, "light")
    large = enlarged(spec, 2)
    assert large["height"] == 2 * spec["height"] and large["title"]["fontSize"] == 26
    assert large["config"]["axis"]["labelFontSize"] == 22 and large["config"]["legend"]["labelFontSize"] == 22
    legend = large["layer"][0]["encoding"]["color"]["legend"]
    assert "(width / 2)" in legend["columns"]["expr"] and legend["labelLimit"] == 800
    assert large["layer"][0]["encoding"]["y"]["scale"] == spec["layer"][0]["encoding"]["y"]["scale"]
    assert spec["height"] == 90, "the original is as it was"
