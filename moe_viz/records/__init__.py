"""What the views read: routing traces, snapshots, history, scripts, metrics, narration. numpy and pandas.

May import: `spec`. Must not know: torch, Streamlit, or how a record is drawn.
"""
