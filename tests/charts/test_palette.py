"""Every expert looks different from every other, on both backgrounds and for colour-blind eyes."""

import numpy as np
import pytest

from moe_viz.charts import palette as p
from tests.charts.contrast import contrast

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(color, blindness):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0, 1)
    to_lms = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    to_lab = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ linear)


def test_styles_differ_up_to_64():
    assert len({(s.color, s.pattern) for s in map(p.expert_style, range(64))}) == 64
    assert p.expert_style(9) == (p.COLORS[1], "diagonal", p.expert_style(1).ink)
    with pytest.raises(ValueError):
        p.expert_style(-1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_read_on_the_background_and_ink_reads_on_them(theme):
    for color in (*p.COLORS, *p.SERIES):
        assert contrast(color, p.PAPER[theme]) >= 3
    assert all(contrast(tone, p.INK[theme]) >= 4.5 for tone in p.DIVERGING[theme])
    for i in range(8):
        assert contrast(p.expert_style(i).color, p.expert_style(i).ink) >= 4.5


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_differ_for_every_eye(blindness):
    seen = [oklab(color, blindness) for color in p.COLORS]
    assert min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]) > 0.075
