"""The page My runs. `page.draw` draws it; no other page may import from here."""
