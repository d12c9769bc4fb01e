"""The recorded picture in the lab's HTML: what it holds, in which language, and when it is left out."""

import json
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from moe_viz.components import routing
from moe_viz.components.pack import pack
from moe_viz.settings import settings
from moe_viz.ui.server import first_picture, front_page
from moe_viz.ui.session.recorded import recorded
from moe_viz.ui.session.run_cookie import COOKIE


def test_it_is_the_shipped_recording_and_says_so():
    found = first_picture.html("en", calm=False)
    text = re.search(r'id="first_picture_data">(.*?)</script>', found, re.DOTALL)[1]
    sent = json.loads(text)
    moment = recorded().snapshot
    packed = pack(moment.traces[0]) | {"recorded": True}
    assert {name: sent["data"][name] for name in packed} == packed
    assert (sent["version"], sent["source"]) == (routing.VERSION, routing.SOURCE)
    assert "This is a recorded run" in found and f"loss {moment.metrics['loss']:.3f}" in found


def test_nothing_in_its_data_ends_the_script_it_stands_in():
    text = re.search(r'id="first_picture_data">(.*?)</script>', first_picture.html("en", calm=False), re.DOTALL)[1]
    assert "<" not in text and "<" in json.loads(text)["source"]


@pytest.fixture
def pages():
    front_page.lab_html.cache_clear()
    yield TestClient(Starlette(routes=front_page.routes()))
    front_page.lab_html.cache_clear()


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("/", "A recorded run that has learned for 300 steps."),
        ("/?lang=xx", "A recorded run that has learned for 300 steps."),
        ("/lab?lang=ru", "Запись прогона, который учился уже 300 шагов."),
        ("/?task=clusters", "This is a recorded run, while your own model starts."),
        ("/?lang=ru&run=abc", "Это запись прогона"),
    ],
)
def test_it_comes_with_the_lab_in_the_links_language(pages, address, sentence):
    assert sentence in pages.get(address).text


def test_whoever_has_runs_already_is_not_met_as_on_a_first_visit(pages):
    pages.cookies.set(COOKIE, "a" * 22)
    assert "This is a recorded run, while your own model starts." in pages.get("/").text


def test_it_comes_with_no_other_page_and_not_before_a_passphrase(pages, monkeypatch):
    assert "first_picture" not in pages.get("/gates").text
    monkeypatch.setattr(front_page, "settings", lambda: settings().model_copy(update={"passphrase": "sesame"}))
    assert "first_picture" not in pages.get("/").text


@pytest.mark.parametrize(
    "address, language", [("/", "en"), ("/?lang=ru", "ru"), ("/gates?lang=ru", "ru"), ("/gates?lang=xx", "en")]
)
def test_every_page_declares_its_language(pages, address, language):
    assert f'<html lang="{language}">' in pages.get(address).text
