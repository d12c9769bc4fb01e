"""The page One step. `page.draw` draws it; no other page may import from here."""
