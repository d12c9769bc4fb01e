"""The page Course: `page.draw` draws it.

May import: what pages share (`ui.server`, `ui.session`, `ui.widgets`) and all that `ui` may. Must not know: another page.
"""
