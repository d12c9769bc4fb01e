"""Records to figures: pure functions, no streamlit. `live.py` gives Vega-Lite specs (safe to tick), `frozen.py` Plotly figures (paused views)."""
