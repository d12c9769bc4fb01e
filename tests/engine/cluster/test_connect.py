"""Joining a cluster, and why that cannot be."""

import os
import sys
from types import ModuleType

import pytest

from moe_viz.engine.cluster import connect


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(connect.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(connect.CannotConnect, match=r"requirements-cluster\.txt"):
        connect.connect("ray", None)


class FakeModule(ModuleType):
    """The module `ray`: notes how it is started, and which of Ray's environment it would read then."""

    __path__ = ()

    def init(self, *, address, num_cpus=None, include_dashboard=None, object_store_memory=None, log_to_driver, configure_logging):  # fmt: skip
        self.started = {"address": address, "cores": num_cpus, "dashboard": include_dashboard}
        self.started |= {"bytes": object_store_memory, "noise": log_to_driver or configure_logging}
        self.environment = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


@pytest.fixture
def ray(monkeypatch):
    module = FakeModule("ray")
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, module if name == "ray" else ModuleType(name))
    monkeypatch.setattr(connect.importlib.util, "find_spec", lambda name: module)
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return module


def test_a_cluster_of_our_own_is_closed_to_others(ray):
    assert connect.connect("ray", None) is ray
    assert ray.started["address"] == "local" and ray.started["cores"] == (os.cpu_count() or 1)
    assert ray.started["dashboard"] is False and not ray.started["noise"] and ray.started["bytes"] >= 75_000_000
    assert ray.environment["RAY_AUTH_MODE"] == "token" and len(ray.environment["RAY_AUTH_TOKEN"]) == 64
    assert ray.environment["RAY_USAGE_STATS_ENABLED"] == ray.environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"


def test_of_a_cluster_that_is_joined_its_operator_decides(ray):
    connect.connect("ray:auto", None)
    assert ray.started["address"] == "auto" and ray.started["cores"] is None
    assert "RAY_AUTH_MODE" not in ray.environment


def test_what_ray_says_against_it_is_told_with_the_address(ray, monkeypatch):
    def refuse(**_):
        raise RuntimeError("Version mismatch: here 2.60\nand more")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(connect.CannotConnect, match=r"auto cannot be joined: Version mismatch: here 2.60\."):
        connect.connect("ray:auto", None)
