"""One running app for all browser tests: starting a server and its training process costs more than most of the tests."""

import pytest

from tests.browser.lab import browser_page, server


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the app answers. Runs that no page reads any more pause early, so that one test's run does not slow the next."""
    env = {"MOE_VIZ_HOME": str(tmp_path_factory.mktemp("home")), "MOE_VIZ_LEASE_S": "5"}
    with server(env=env) as (address, _process):
        yield address


@pytest.fixture(scope="session")
def demo():
    """Where the pages with nothing but one canvas view answer, see demo_components.py."""
    with server("tests/browser/demo_components.py") as (address, _process):
        yield address


@pytest.fixture
def page():
    """A fresh page of the one browser, wide and light."""
    with browser_page() as page:
        yield page
