"""The training side of the engine: one process with many runs, that gives each its turn and answers calls between steps.

It may import `storage` and `training`. It must not know who asks: no client, no cluster, no Streamlit.
"""
