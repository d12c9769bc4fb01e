"""Joining a cluster, and why that cannot be."""

import os

import pytest

from moe_viz.engine.cluster import connect


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(connect.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(connect.CannotConnect, match=r"requirements-cluster\.txt"):
        connect.connect("ray", None)
