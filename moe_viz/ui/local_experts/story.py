"""What happened, in one sentence, read from the figures of the fit: words alone, no widget."""

from __future__ import annotations

from typing import Any

import numpy as np

from moe_viz.records.mixture import MixturePicture
from moe_viz.records.numbers import number
from moe_viz.spec import MixtureConfig
from moe_viz.ui.i18n import _
from moe_viz.ui.words import percent

WAIT = 85.0
"""Minutes: a wait after which either kind of eruption comes."""
ASKED = 0.15
"""Probability from which on the gate asks an expert there."""
PARTED_MIN = 1.0
"""Minutes between two experts' answers there from which on they have parted."""
WATCHED = (81.0, 4.3)
"""The eruption chosen at first: a long wait, a long eruption."""


def answers(picture: MixturePicture) -> list[float]:
    """What those experts answer after that wait whom the gate asks there, rising."""
    asked = [float(np.interp(WAIT, picture.grid, gate)) >= ASKED for gate in picture.gate]
    return sorted(
        float(np.interp(WAIT, picture.grid, line)) for line, is_asked in zip(picture.lines, asked) if is_asked
    )


def of_eruptions(picture: MixturePicture, metrics: dict[str, Any], config: MixtureConfig, at_rest: bool) -> str:
    """What is answered after a long wait, and how many eruptions are near an expert, and near the blend."""
    asked, near, blend = answers(picture), metrics.get("near_expert"), metrics.get("near_blend")
    values = {
        "wait": f"{WAIT:g}",
        "low": number(asked[0] if asked else None, ".1f"),
        "high": number(asked[-1] if asked else None, ".1f"),
        "mean": number(float(np.interp(WAIT, picture.grid, picture.blend)), ".1f"),
    }
    counts = {} if near is None or blend is None else {"near": percent(near), "blend": percent(blend)}
    if asked and asked[-1] - asked[0] >= PARTED_MIN:
        told = _("The experts have parted: after a wait of {wait} min one says {low} min, the other {high}.")
    elif at_rest and config.error in ("cooperative", "localised"):
        told = _("It has come to rest and nobody has parted: after a wait of {wait} min the answer is {mean} min.")
    else:
        told = _("Nobody has parted: after a wait of {wait} min the answer is {mean} min.")
    text = told.format(**values)
    if not counts:
        return text
    return f"{text} " + _("{near} of the eruptions lie within 15 s of an expert, {blend} of the blend.").format(
        **counts
    )


def of_the_law(metrics: dict[str, Any], config: MixtureConfig) -> str:
    """Whether the gap grows or shrinks, and by how much the law says."""
    law, growth, gap = metrics.get("growth_law"), metrics.get("growth"), metrics["gap"]
    if law is None:
        return ""
    values = {
        "sigma": number(config.sigma, "g"),
        "law": number(law, ".3f"),
        "growth": number(growth, ".3f"),
        "gap": number(gap, ".2g"),
    }
    if growth is None:
        return _("σ = {sigma}: the law says that the gap is multiplied by {law} at each step.").format(**values)
    if gap > 0.4 and law > 1:
        return _(
            "The two have parted: {gap} standard deviations lie between them. The law is of the time when they were close: {law} a step for σ = {sigma}."
        ).format(**values)
    if law > 1:
        return _(
            "They part: in the last step the gap was multiplied by {growth}; the law says {law} for σ = {sigma}, less than the spread of y."
        ).format(**values)
    return _(
        "They merge: in the last step the gap was multiplied by {growth}; the law says {law} for σ = {sigma}, no less than the spread of y. Without competition nothing parts."
    ).format(**values)


def summary(picture: MixturePicture, sentence: str) -> str:
    """The picture for readers who do not see it."""
    text = _("Iteration {step}: {n} points, {experts} experts.").format(
        step=picture.step, n=len(picture.x), experts=picture.n_experts
    )
    return f"{text} {sentence}"


def watched(picture: MixturePicture, place: tuple[float, float]) -> int:
    """The point nearest to a place, in parts of the picture."""
    left, right, low, high = picture.limits
    far = ((picture.x - place[0]) / (right - left)) ** 2 + ((picture.y - place[1]) / (high - low)) ** 2
    return int(far.argmin())
