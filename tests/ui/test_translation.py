"""Catalogues: every marked text is translated, no placeholder is lost, and the words a knob can be set to are covered."""

import ast
import pickle
from string import Formatter

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_from_file
from babel.messages.pofile import read_po

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig, change
from moe_viz.spec.describe import choices
from moe_viz.spec.sentence import Knobs, Sentence
from moe_viz.training.messages import restarted
from moe_viz.ui import words
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import LANGUAGES, LOCALE, catalogue

ROOT = LOCALE.parents[1]
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "_": None}
OTHERS = sorted(set(LANGUAGES) - {"en"})


def marked():
    """Every text of the source that a reader can see: what `make locale` collects."""
    texts = {message for _, message, *_ in extract_from_file("python", ROOT / "app.py", keywords=KEYWORDS)}
    for room in ("pages", "moe_viz"):
        found = extract_from_dir(ROOT / room, method_map=[("**.py", "python")], keywords=KEYWORDS)
        texts |= {message for _, _, message, *_ in found}
    return texts - {""}


def placeholders(text):
    """The replaced parts with their formats, in any order: languages differ in it."""
    return sorted((name, spec, turn) for _, name, spec, turn in Formatter().parse(text) if name is not None)


@pytest.fixture(scope="module", params=OTHERS)
def po(request):
    with (LOCALE / request.param / "LC_MESSAGES" / "moe_viz.po").open("rb") as file:
        return read_po(file, locale=request.param)


@pytest.fixture(scope="module")
def texts():
    found = marked()
    assert {"Dropped routes", "Balancing loss", "dropless"} <= found and len(found) > 700
    return found


def test_every_marked_text_is_translated(po, texts):
    done = {message.id for message in po if message.id and message.string}
    assert sorted(texts - done) == []


def test_extraction_misses_nothing(texts):
    """Babel reads no f-string before Python 3.12: a text marked inside one would never reach a catalogue."""
    lost = set()
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "moe_viz").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("_", "N_")
                and node.args
            ):
                text = node.args[0]
                if isinstance(text, ast.Constant) and text.value not in texts:
                    lost.add(f"{path.name}:{node.lineno} {text.value}")
    assert sorted(lost) == []


def test_placeholders_survive(po):
    changed = {
        message.id: message.string
        for message in po
        if message.id and message.string and placeholders(message.id) != placeholders(message.string)
    }
    assert changed == {}


def test_markup_survives(po):
    """Bold, code, tags and LaTeX dollars are drawn by the page: a lost one shows as rubbish."""
    for message in po:
        if message.id and message.string:
            for mark in ("**", "`", "$", "<", "\n"):
                assert message.string.count(mark) == message.id.count(mark), message.id


def test_no_fuzzy_entries(po):
    assert [message.id for message in po if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", OTHERS)
def test_catalogue_translates(language):
    assert catalogue(language).gettext("Dropped routes") not in ("", "Dropped routes")


def test_russian_says_what_it_should():
    assert catalogue("ru").gettext("Dropped routes") == "Отброшенные маршруты"


def test_unknown_language_and_unknown_text_stay_english():
    assert catalogue("xx").gettext("Dropped routes") == "Dropped routes"
    assert catalogue("ru").gettext("not a text of this lab") == "not a text of this lab"


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_every_knob_is_covered(router, language):
    """Titles, helps, units and words of choice come from data, so only this walk can see that one was never marked."""
    with (LOCALE / language / "LC_MESSAGES" / "moe_viz.po").open("rb") as file:
        known = {message.id for message in read_po(file, locale=language)}
    for task in TASK_OPTIONS:
        for word, info in RunConfig.from_flat({"task": task, "router": router}).fields().items():
            texts = {info.title, info.description}
            if word != "speed":
                texts.add((info.json_schema_extra or {}).get("unit") or info.title)
            if word not in ("task", "router"):
                texts |= {value.replace("_", " ") for value in choices(info) or [] if isinstance(value, str)}
            assert texts <= known, word


def test_knobs_in_a_sentence_are_named_as_on_their_controls(monkeypatch):
    config = RunConfig(task="clusters")
    told = pickle.loads(pickle.dumps(restarted(["n_experts"], config, change(config, n_experts=16))))
    assert told == words.in_words(told) and told.endswith("Experts 8 → 16.")
    russian = catalogue("ru").gettext
    monkeypatch.setattr(words, "_", russian)
    assert words.in_words(told).endswith(f"{russian('Experts')} 8 → 16.") and russian("Experts") != "Experts"
    typed = "**[x](http://y)**"
    assert words.in_words(Sentence("{knobs}", knobs=Knobs([("Seed", typed)]))).endswith(f"= {escape_markdown(typed)}")
