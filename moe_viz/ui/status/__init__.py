"""The page Status. `page.draw` draws it; no other page may import from here."""
