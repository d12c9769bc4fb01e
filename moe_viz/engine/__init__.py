"""The engine: runs that train in another process than the web server, or on a Ray cluster, and the way to ask for them.

`protocol` declares what can be asked, `limits` how much; `client` asks, `worker` does it, `storage` keeps it, `cluster` spreads it.
May import: `records`, `spec`, `training`. Must not know: pages; nothing here imports `ui` or Streamlit, and `client` loads no torch.
"""
