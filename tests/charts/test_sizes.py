"""Systems over the years: each has its place inside its year, small to large, and the axis holds whole years."""

import pandas as pd

from moe_viz.charts.sizes import WITHIN_YEAR, total_and_active


def test_systems_of_a_year_stand_side_by_side_from_small_to_large():
    systems = pd.DataFrame(
        {"name": list("dbca"), "year": [2024, 2021, 2021, 2021], "total": [5.0, 2.0, 9.0, 1.0], "active": [1.0] * 4}
    )
    chart = total_and_active(systems)
    assert chart.table["name"].tolist() == ["a", "b", "c", "d"]
    first = chart.table["place"][:3]
    assert (
        first.is_monotonic_increasing and first.min() > 2021 - WITHIN_YEAR / 2 and first.max() < 2021 + WITHIN_YEAR / 2
    )
    assert chart.table["place"].iloc[3] == 2024
    axis = chart.spec["layer"][0]["encoding"]["x"]["axis"]
    assert axis["values"] == [2021, 2024]


def test_shape_and_colour_say_the_same():
    spec = total_and_active(pd.DataFrame({"name": ["a"], "year": [2021], "total": [2.0], "active": [1.0]})).spec
    shape, color = (spec["layer"][1]["encoding"][channel] for channel in ("shape", "color"))
    assert shape["scale"]["domain"] == color["scale"]["domain"] and len(set(shape["scale"]["range"])) == 2
