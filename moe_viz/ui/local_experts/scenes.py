"""What the page can show, as knobs of a fit: two scenes, and in the first of them four errors from the same start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moe_viz.spec import MixtureConfig
from moe_viz.spec.knobs import N_

CLIMB: dict[str, Any] = {"method": "adam", "lr": 0.03, "iterations": 600, "speed": 60}
"""The errors of squared distances have no EM: they are climbed down by small steps, shown many a second."""


@dataclass(frozen=True)
class Error:
    """knobs: what the fit is then;  title, text: marked for translation."""

    knobs: dict[str, Any]
    title: str
    text: str


ERRORS: dict[str, Error] = {
    "cooperative": Error(
        CLIMB | {"error": "cooperative"},
        N_("cooperative"),
        N_("The blend of both must be right: (y − Σ g·μ)². Each expert is pulled by what the others leave over."),
    ),
    "localised": Error(
        CLIMB | {"error": "localised"},
        N_("localised"),
        N_("Each expert must be right where the gate asks it: Σ g·(y − μ)². It is pulled by its prior."),
    ),
    "competitive": Error(
        CLIMB | {"error": "competitive"},
        N_("competitive"),
        N_(
            "One of them must be right: −log Σ g·exp(−(y − μ)²/2σ²). Each is pulled by its posterior: who is nearer gets more."
        ),
    ),
    "likelihood": Error(
        {"error": "likelihood", "method": "em", "iterations": 60, "speed": 4},
        N_("EM"),
        N_(
            "The competitive error with a spread of each expert's own, fitted by expectation-maximisation (Jordan & Jacobs 1994)."
        ),
    ),
}

ERUPTIONS = MixtureConfig(**ERRORS["likelihood"].knobs)
LAW = MixtureConfig(
    data="clumps",
    expert="constant_gaussian",
    error="competitive",
    method="ascent",
    start="mean",
    apart=0.02,
    sigma=0.7,
    lr=0.5,
    iterations=120,
    speed=8,
)
SCENES: dict[str, tuple[MixtureConfig, str]] = {
    "eruptions": (ERUPTIONS, N_("Old Faithful")),
    "law": (LAW, N_("The law of the feedback")),
}


def scene_of(config: MixtureConfig) -> str:
    """Which scene a fit belongs to."""
    return "law" if config.data == "clumps" else "eruptions"
