"""One reader's session: its runs, the state of its pages, its address, what its browser remembers.

May import: all that `ui` may. Must not know: a page, or a control.
"""
