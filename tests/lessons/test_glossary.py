"""The glossary: the same words in each language, each of them used, and a file that is wrong is refused with its line."""

import ast
import re

import pytest

from moe_viz.lessons.glossary import LESSONS, GlossaryError, Term, glossary, read_glossary
from moe_viz.lessons.word_map import AROUND, word_map
from moe_viz.spec import RunConfig
from moe_viz.ui.i18n import LANGUAGES
from moe_viz.ui.widgets.glossary import OF_KNOBS
from tests.test_house import PACKAGE

ONLY_THERE = {"mixture_of_experts", "parameters", "knob", "snapshot", "trace", "keyframe"}
"""Words of the field that the page Glossary alone defines."""
PAGES = sorted((PACKAGE / "ui").rglob("*.py"))


def named_by_pages():
    """Every id that a page names: in a call of `words`, or in a table called WORDS."""
    found = set()
    for path in PAGES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "words"
            is_table = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "WORDS"
            if is_call:
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            elif is_table:
                tuples = [each for each in ast.walk(node.value) if isinstance(each, ast.Tuple)]
                found |= {name.value for each in tuples for name in each.elts}
    return found


def test_every_language_has_the_same_words_in_the_same_order():
    files = {path.parent.name for path in LESSONS.glob("*/glossary.yaml")}
    assert files == set(LANGUAGES)
    for language in LANGUAGES:
        assert list(glossary(language)) == list(glossary("en")), language


def test_every_word_that_is_used_is_defined_and_every_defined_one_is_used():
    used = named_by_pages() | set(OF_KNOBS.values())
    assert len(used) > 25
    beyond = {name for name, place in word_map().items() if place.topic in AROUND} | ONLY_THERE
    assert not used & beyond, "what no other page names"
    assert used | beyond == set(glossary("en"))


def test_what_a_knob_is_explained_by_belongs_to_a_knob():
    fields = RunConfig(router="topk").fields()
    assert OF_KNOBS.keys() <= fields.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_is_found_by_its_own_name_and_defined_by_other_words(language):
    words = glossary(language)
    for name, term in words.items():
        if term.forms and name not in ("slot", "dropped"):  # their names are two words each
            assert any(found == name for _, _, found in words.find(term.name)), (name, term.name)
    definitions = [text for term in words.values() for text in (term.text, term.simple)]
    assert len(set(definitions)) == len(definitions)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_spelling_means_two_words(language):
    spellings = [form.casefold() for term in glossary(language).values() for form in term.forms]
    assert sorted(set(spellings)) == sorted(spellings)


def test_russian_definitions_are_russian():
    for name, term in glossary("ru").items():
        for text in (term.text, term.simple):
            assert len(re.findall("[а-яёА-ЯЁ]", text)) > 0.6 * len(text), name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The balancing loss is 1.", ["balancing_loss"]),
        ("loss 0.3", ["loss"]),
        ("Top-k softmax · k = 2 · 8 experts", ["top_k", "softmax", "top_k", "expert"]),
        ("investigate the gateway, tokenise, kk", []),
    ],
)
def test_a_longer_word_goes_before_a_shorter_and_parts_of_words_are_none(text, found):
    assert [name for _, _, name in glossary("en").find(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("У 2 экспертов нет ни одного токена", ["expert", "token"]),
        ("маршрутизация, эксперты, маршрутизатором", ["expert", "router"]),
        ("Балансирующие потери и потери", ["balancing_loss", "loss"]),
    ],
)
def test_russian_words_are_found_in_every_case(text, found):
    assert [name for _, _, name in glossary("ru").find(text)] == found


GOOD = "token:\n  name: token\n  text: A piece of the input.\n  simple: One patient.\n  forms: [token]\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (GOOD + "gate:\n  name: gate\n  text: short\n  simple: A door.\n  forms: [gate]\n", 8, "at least 10"),
        (GOOD + "gate:\n  name: gate\n  simple: A door.\n  forms: [gate]\n", 7, "text: Field required"),
        (
            GOOD + "gate:\n  name: gate\n  text: Long enough a text.\n  simple: A door.\n  forms: ['a|b']\n",
            10,
            "must be words",
        ),
        (
            GOOD + "gate:\n  name: gate\n  text: Long enough a text.\n  simple: A door.\n  forms: gate\n",
            10,
            "valid tuple",
        ),
        (
            GOOD + "gate:\n  name: gate\n  text: Long enough a text.\n  simple: A door.\n  forms: []\n  colour: red\n",
            11,
            "not permitted",
        ),
        (GOOD + "gate:\n  name: gate\n  name: gates\n", 8, "twice"),
        (GOOD + GOOD, 6, "twice"),
        (GOOD + "Gate 1: {}\n", 6, "small Latin letters"),
        (GOOD + "gate: a word\n", 6, "must have name"),
        (GOOD + "gate: [\n", 7, "expected"),
        ("- token\n", 1, "mapping"),
        ("", 1, "mapping"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_name_and_line(tmp_path, text, line, what):
    path = tmp_path / "glossary.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GlossaryError, match=re.escape(f"{path}, line {line}: ")) as refused:
        read_glossary(path)
    assert what in str(refused.value)


def test_a_language_without_a_glossary_has_the_english_one():
    assert dict(glossary("de")) == dict(glossary("en"))


def test_a_bare_word_of_yaml_is_a_word(tmp_path):
    path = tmp_path / "glossary.yaml"
    path.write_text("token:\n  name: no\n  text: 12345678901\n  simple: 12345\n  forms: [on]\n", encoding="utf-8")
    assert read_glossary(path)["token"] == Term(name="no", text="12345678901", simple="12345", forms=("on",))
