"""Numbers as people read them: one minus, no minus before zero, one sign for what is missing."""

import math
import re

import pytest

from moe_viz import paths
from moe_viz.records.numbers import number


@pytest.mark.parametrize(
    "value, form, said",
    [
        (-0.5, ".2f", "−0.50"),
        (0.001, "+.2f", "+0.00"),
        (-0.001, "+.2f", "+0.00"),
        (-0.0, ".3g", "0"),
        (-1.5e-7, ".2g", "−1.5e−07"),
        (12345, ",d", "12\u202f345"),
        (-12345.6, ",.1f", "−12\u202f345.6"),
        (-3, "d", "−3"),
        (None, ".2f", "–"),
        (math.nan, "g", "–"),
        (-math.inf, ".1%", "–"),
    ],
)
def test_a_number_has_a_real_minus_and_what_is_missing_a_dash(value, form, said):
    assert number(value, form) == said


def test_nothing_on_a_page_writes_a_minus_or_a_table_in_its_own_way():
    """One function writes numbers (`records/numbers.py`), one shows tables (`ui/widgets/tables.py`)."""
    root = paths.ASSETS.parent / "moe_viz"
    own = re.compile(r"""replace\(\s*["']-["']|st\.dataframe\(|%\{(?:z|customdata):\+""")
    allowed = {"records/numbers.py", "ui/widgets/tables.py"}
    found = [path for path in root.rglob("*.py") if own.search(path.read_text(encoding="utf-8"))]
    assert {str(path.relative_to(root)) for path in found} <= allowed
