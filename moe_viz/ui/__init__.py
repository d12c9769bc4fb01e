"""Streamlit glue: language, permalink, controls made from `spec`, the session's run, and the live page. Never imports torch."""
