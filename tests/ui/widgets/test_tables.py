"""Tables show numbers below 0 with the minus sign of every other number, and stay tables of numbers."""

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest


def page():
    import numpy as np
    import pandas as pd

    from moe_viz.ui.widgets.tables import show_table

    frame = pd.DataFrame(
        {"step": [1, 2, 3], "bias": [-0.25, 0.5, np.nan], "left": [-1, 0, 7], "share": [0.1, 0.2, 0.7]}
    )
    show_table(frame, {"share": ".0%"}, key="numbers")


def test_a_table_writes_numbers_below_zero_with_a_real_minus():
    at = AppTest.from_function(page).run()
    assert not at.exception
    sent = at.dataframe[0].proto.arrow_data if hasattr(at.dataframe[0].proto, "arrow_data") else at.dataframe[0].proto
    shown = sent.styler.display_values
    text = shown.decode("utf-8", errors="ignore")
    assert "−0.25" in text and "−1" in text and "70%" in text and "–" in text and "-" not in text.split("−0.25")[1]
    pd.testing.assert_frame_equal(
        at.dataframe[0].value.reset_index(drop=True),
        pd.DataFrame({"step": [1, 2, 3], "bias": [-0.25, 0.5, np.nan], "left": [-1, 0, 7], "share": [0.1, 0.2, 0.7]}),
    )
