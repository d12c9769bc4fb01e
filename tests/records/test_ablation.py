"""An expert switched off: change per domain and its control, by hand."""

import math

import numpy as np
import pytest

from moe_viz.records.analysis import Ablation


def test_change_and_control_by_hand():
    group = np.array(["a", "b", "a", "b"])
    base = np.array([1.0, 2.0, 3.0, 4.0])
    off = base + np.array([[1, 0, 3, 0], [0, 1, 0, 1], [0, 0, 0, 4]])
    seen = Ablation(10, 1, group, base, off)
    assert seen.domains == ["a", "b"]
    assert seen.change().tolist() == [[2, 0], [0, 1], [0, 2]]
    first = seen.table().iloc[0]
    assert (first["expert"], first["domain"], first["change"]) == (0, "a", 2)
    assert first["error"] == pytest.approx(1.0), "sd of (1, 3) is sqrt 2, over sqrt 2"
    assert (first["others"], first["others_sd"]) == (0, 0)
    second = seen.table().iloc[2]
    assert (second["expert"], second["domain"], second["others"], second["others_sd"]) == (2, "a", 1, 1)


def test_one_expert_has_no_control():
    table = Ablation(0, 0, np.array(["a"]), np.array([1.0]), np.array([[2.0]])).table()
    assert math.isnan(table["others"][0]) and math.isnan(table["error"][0]) and table["change"][0] == 1
