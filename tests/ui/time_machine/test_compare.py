"""Shares of the tables of two moments are written with equally many digits each."""

import pandas as pd
import pytest

from moe_viz.ui.time_machine import compare


def test_shares_become_percentages_with_one_digit_each():
    table = pd.DataFrame({"moved": [0.5556, 0.75], "tokens": [27, 32]})
    found = table.assign(**compare._in_percent("moved"))
    assert found["moved"].tolist() == pytest.approx([55.56, 75]) and found["tokens"].tolist() == [27, 32]
    assert [compare.PERCENT % value for value in found["moved"]] == ["55.6 %", "75.0 %"]
