"""Records to figures, pure functions: `time_series`, `counts` and the like give Vega-Lite specs (safe to tick), `plotly_charts` and `experts` Plotly figures (paused views).

May import: `records`, `spec`. Must not know: Streamlit; every figure can be made in a notebook from a saved trace.
"""
