"""What the page's rules say where Streamlit has no words of ours."""

import re

from moe_viz.ui.server import theme


def test_the_file_fields_words_are_letters_in_any_language(monkeypatch):
    """CSS does not know JavaScript's escapes: the field once read u0412u044b..."""
    rules = []
    monkeypatch.setattr(theme, "language", lambda: "ru")
    monkeypatch.setattr(theme, "_", {"Choose a file": "Выбрать файл", "or drop it here": "или сюда"}.get)
    monkeypatch.setattr(theme.streamlit_patches, "no_automatic_pages", lambda: False)
    monkeypatch.setattr(theme.st, "html", lambda text, **_more: rules.append(text))
    monkeypatch.setattr(theme, "TABLES", "%s")
    theme.apply()
    contents = [text for rule in rules for text in re.findall(r'content: "([^"]*)"', rule)]
    assert contents == ["Выбрать файл", "или сюда"]
