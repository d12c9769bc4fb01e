"""The page Gate map. `page.draw` draws it; no other page may import from here."""
