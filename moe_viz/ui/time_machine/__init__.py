"""The page Time machine. `page.draw` draws it; no other page may import from here."""
