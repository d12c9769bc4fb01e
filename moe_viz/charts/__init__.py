"""Records to figures, pure functions: `live` gives Vega-Lite specs (safe to tick), `frozen` Plotly figures (paused views).

May import: `records`, `spec`. Must not know: Streamlit; every figure can be made in a notebook from a saved trace.
"""
