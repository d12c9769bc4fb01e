"""Settings that every test shares: one torch thread each (two workers share two cores), repeatable property tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from moe_viz.settings import settings as installation

settings.register_profile("moe_viz", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("moe_viz")


@pytest.fixture(autouse=True)
def fresh_settings():
    """Settings are read once per process; a test that changes the environment must not leave its own to the next."""
    installation.cache_clear()
    yield
    installation.cache_clear()


def pytest_collection_modifyitems(config, items):
    """What is marked `nightly` runs only where -m names it."""
    if "nightly" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


def pytest_addoption(parser):
    parser.addoption(
        "--none-skipped", action="store_true", help="fail where a test was skipped: what it needs was to be here"
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.option.none_skipped or reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"FAILED: {len(skipped)} skipped, for example {skipped[0].longrepr}", red=True)
