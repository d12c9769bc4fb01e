"""The class passphrase: nothing of the lab before it, no page beside it, and no guessing faster than a guess every few seconds."""

from __future__ import annotations

import inspect

import pytest
from pydantic import SecretStr
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from moe_viz.settings import settings
from moe_viz.ui.server import passphrase, streamlit_patches
from tests.clock import Clock
from tests.test_house import ROOT

WORD = "кошка на коврике"


@pytest.fixture
def locked(monkeypatch):
    """A server with a passphrase whose engine must not be touched."""
    chosen = settings().model_copy(update={"passphrase": SecretStr(WORD)})
    monkeypatch.setattr(passphrase, "settings", lambda: chosen)
    monkeypatch.setattr(passphrase, "EVERYBODY", passphrase.Guard(40, 4.0, 3.0))

    prepare = PagesManager.__init__

    def as_the_server_does(self, *args, **kwargs):
        prepare(self, *args, **kwargs)
        streamlit_patches.no_automatic_pages()

    monkeypatch.setattr(PagesManager, "__init__", as_the_server_does)

    def touched(*_):
        raise AssertionError("the engine was touched before the passphrase was given")

    monkeypatch.setattr("moe_viz.engine.client.engine", touched)
    for name in ("session.watched", "my_runs.page", "my_runs.row"):
        monkeypatch.setattr(f"moe_viz.ui.{name}.engine", touched)


def page(url="", **params):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def texts(app):
    return [element.value for element in (*app.markdown, *app.caption, *app.error)]


def guess(app, word):
    app.text_input(key="passphrase").set_value(word)
    return app.button(key="enter").click().run()


def test_one_field_and_nothing_of_the_lab(locked):
    app = page()
    assert not app.exception and [field.label for field in app.text_input] == ["Passphrase"]
    assert [button.label for button in app.button] == ["Enter"] and texts(app) == [
        "#### This lab asks for the class passphrase"
    ]
    assert "lab_run" not in app.session_state
    russian = page(lang="ru")
    assert [field.label for field in russian.text_input] == ["Кодовая фраза"]


def test_a_wrong_word_stays_outside_and_the_right_one_comes_in(locked, monkeypatch):
    app = guess(page(), "nearly")
    assert texts(app)[-1] == "That is not the passphrase." and app.text_input(key="passphrase")
    app = guess(app, "  " + WORD + " ")
    assert not app.exception and "play" in [button.key for button in app.button] and "lab_run" in app.session_state
    assert app.session_state[passphrase.STATE] is True
    assert [field.key for field in page().text_input] == ["passphrase"]  # another session, or a reload, is asked again


def test_a_session_waits_longer_and_longer(locked):
    app = page()
    said = [texts(guess(app, f"guess {n}"))[-1] for n in range(5)]
    assert said[:4] == ["That is not the passphrase."] * 4 and said[4] == "Too many wrong tries. Try again in 1 s."
    assert texts(guess(app, WORD))[-1].startswith("Too many wrong tries")  # also the right word waits


def test_no_guesser_is_faster_than_a_guess_every_few_seconds():
    clock = Clock(0.0)
    guard = passphrase.Guard(free=40, longest_s=4.0, forgive_s=3.0, clock=clock)
    looked_at = 0
    for _ in range(36_000):  # an hour, ten new sessions a second
        looked_at += guard.attempt() == 0
        clock.now += 0.1
    assert looked_at <= 40 + 1.01 * 3600 / 3
    clock.now += 3600
    assert [guard.attempt() for _ in range(40)] == [0.0] * 40  # a class that mistypes does not wait


def test_waiting_doubles_and_is_forgiven():
    clock = Clock(0.0)
    guard = passphrase.Guard(free=1, longest_s=60.0, forgive_s=1e9, clock=clock)
    waits = []
    for _ in range(10):
        while wait := guard.attempt():
            waits.append(wait)
            clock.now += wait
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], rel=1e-6)
    guard.right()
    assert guard.attempt() == 0


def test_the_comparison_is_constant_time_and_knows_forms_of_a_letter():
    assert "hmac.compare_digest" in inspect.getsource(passphrase.is_right)
    assert passphrase.is_right("й", "и\u0306") and passphrase.is_right(" a ", "a") and not passphrase.is_right("", "a")
    assert not passphrase.is_right("a" * 200, "a" * 199)
    assert not passphrase.is_right("\ud800", "a"), "half a character is a wrong passphrase like any other"
