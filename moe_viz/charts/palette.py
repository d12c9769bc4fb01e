"""One look per expert on every view: eight colours in the order of Okabe and Ito (2008), then patterns on top beyond eight.

The hues are Okabe-Ito's; lightness and chroma were searched so that every colour has a contrast of at least 3 : 1 against both of the lab's
backgrounds, and so that the least distance (OKLab) between any two is at least that of the original under normal vision, protanopia,
deuteranopia and tritanopia. Black became grey. Colour never carries the identity alone: the number is always written too.
"""

from __future__ import annotations

from typing import NamedTuple

COLORS = ("#d67a14", "#026c85", "#55a56d", "#6a6d4c", "#176afb", "#d61a06", "#c11bbe", "#828195")
"""orange, petrol, green, olive, blue, vermilion, purple, grey"""
PATTERNS = ("solid", "diagonal", "dots", "cross", "horizontal", "vertical", "grid", "backdiagonal")
"""Experts 1-8 are solid, 9-16 diagonal, ... up to 64; more start again."""
PLOTLY_PATTERNS: dict[str, str] = dict(zip(PATTERNS, ("", "/", ".", "x", "-", "|", "+", "\\"), strict=True))
DASHES: dict[str, list[int]] = dict(
    zip(PATTERNS, ([], [6, 3], [2, 2], [8, 2, 2, 2], [12, 3], [4, 4], [1, 3], [8, 2, 2, 2, 2, 2]), strict=True)
)
"""Line dashes that stand for a pattern where a line cannot carry one."""

NEUTRAL = "#7f8791"
"""Reference lines and everything that is not an expert: legible on both backgrounds."""
SERIES = (NEUTRAL, "#3b8fc4", "#a86a9d", "#a97f2a")
"""Curves that are not experts (layers, runs, losses): quieter than any expert, four so that four runs can be told apart."""
TEXT = {"light": "#56606d", "dark": "#a9b4c0"}
"""Axis numbers, legends, titles and notes of charts: at least 4.5 : 1 on either background, which no single colour is."""
INK = {"light": "#1c2430", "dark": "#e6ebf0"}
GRID = {"light": "#d9dfe5", "dark": "#2e3945"}
PAPER = {"light": "#ffffff", "dark": "#11161c"}
MAGNITUDE = {"light": ("#f4f6f8", "#0b6fa4"), "dark": ("#1a222b", "#58b4e8")}
"""One hue, from nothing to much."""
DIVERGING = {"light": ("#5fa8d3", "#f4f6f8", "#e08e45"), "dark": ("#20699a", "#1a222b", "#9a5416")}
"""Less, even, more: only for signed differences. Every tone carries text in INK."""


class ExpertStyle(NamedTuple):
    """How an expert is drawn. `ink` is black or white, whichever reads better on `color`."""

    color: str
    pattern: str
    ink: str = "#ffffff"


def expert_style(i: int) -> ExpertStyle:
    """Look of expert i, counted from 0. Raises ValueError below 0."""
    if i < 0:
        raise ValueError(f"expert {i} has no style: experts are counted from 0")
    color = COLORS[i % len(COLORS)]
    pattern = PATTERNS[i // len(COLORS) % len(PATTERNS)]
    return ExpertStyle(color, pattern, "#000000" if luminance(color) > 0.179 else "#ffffff")


def expert_colors(n_experts: int) -> list[str]:
    """Colours of experts 0 .. n_experts - 1."""
    return [expert_style(i).color for i in range(n_experts)]


def luminance(color: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
