"""One reader's session: its runs, its address, what its browser remembers. It knows no page and no widget."""
