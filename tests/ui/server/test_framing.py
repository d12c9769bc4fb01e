"""Who may show the lab in a frame: everybody as long as no site is named, and from then on those that are."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from moe_viz.settings import Settings
from moe_viz.ui.server import front_page
from moe_viz.ui.widgets import download

SITES = "https://lms.example.org http://localhost:8000"


def named(monkeypatch, sites):
    chosen = Settings(embed=sites)
    for module in (front_page, download):
        monkeypatch.setattr(module, "settings", lambda: chosen)


@pytest.mark.parametrize("page", ["/", "/gates", "/lab"])
def test_only_sites_that_are_named_may_frame_a_page(monkeypatch, page):
    client = TestClient(Starlette(routes=front_page.routes()))
    named(monkeypatch, "")
    assert "content-security-policy" not in client.get(page).headers
    named(monkeypatch, SITES)
    assert client.get(page).headers["content-security-policy"] == f"frame-ancestors 'self' {SITES}"


@pytest.mark.parametrize(
    "sites",
    ["*", "lms.example.org", "https://a.example; script-src *", "https://a.example\n", "https://a.example/page"],
)
def test_what_is_no_site_is_refused(sites):
    with pytest.raises(ValueError, match="embed"):
        Settings(embed=sites)


def menu():
    from moe_viz.spec import RunConfig
    from moe_viz.ui.widgets.download import download_buttons

    download_buttons({}, "lab", RunConfig().flat(), 3)


@pytest.mark.parametrize("sites", ["", SITES])
def test_the_frame_can_be_copied_where_a_site_is_named(monkeypatch, sites):
    named(monkeypatch, sites)
    at = AppTest.from_function(menu, default_timeout=30)
    at.session_state["take_lab"] = True
    at.run()
    assert not at.exception
    frames = [code.value for code in at.code if "<iframe" in code.value]
    assert len(frames) == bool(sites)
