"""A router that compares directions only: tokens and experts meet on a low-dimensional sphere."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, TokenChoice


class Cosine(TokenChoice):
    facts = Facts(
        title=N_("Cosine (X-MoE)"),
        year=2022,
        paper="Chi et al., On the Representation Collapse of Sparse Mixture of Experts, arXiv:2204.09179",
        idea=N_(
            "Scores are cosines between a projected token and an expert's vector, divided by a learned temperature."
        ),
        formula=r"(xW_g)_{ti}\to\frac{\cos(Px_t,\,e_i)}{\tau},\quad w_{ti}=\mathrm{softmax}(\cdot)_i,\ i\in S_t",
        used_by="X-MoE, Tutel, Swin-MoE",
        cost=N_("A small projection per token, then k experts."),
        fails=N_("Scores are bounded by one over the temperature: gates stay soft unless it falls."),
    )
    name: Literal["cosine"] = "cosine"
    proj_dim: int = Knob(
        16,
        ge=1,
        le=512,
        live=False,
        stops=[2, 4, 8, 16, 32],
        title=N_("Projection width"),
        help=N_("Numbers that are left of a token when it is compared with the experts."),
    )
    temperature: float = Knob(
        0.5,
        ge=0.01,
        le=10,
        live=False,
        title=N_("First temperature"),
        help=N_("Scores start within plus or minus one over this; it is learned from there, down to 0.01."),
    )
    normalise_input: bool = Knob(
        True,
        live=True,
        title=N_("Normalise tokens"),
        help=N_("Give every projected token length 1. The code released with the paper does so for the experts only."),
    )
