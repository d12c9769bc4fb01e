"""What several pages show: header, controls, messages, charts, downloads, and the clock by which they are drawn again.

May import: `ui.session`, `ui.server` and all that `ui` may. Must not know: a page.
"""
