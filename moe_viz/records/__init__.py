"""What the views read: routing traces, snapshots, history, metrics, narration. numpy and pandas only: no torch, no streamlit."""
