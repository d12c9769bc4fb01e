"""The page Collapse and rescue. `page.draw` draws it; no other page may import from here."""
