"""Routers that solve an assignment of tokens to experts, so that the load is even by construction."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RouterOptions, TokenChoice, k_knob

SHARED_OUT = N_("The whole batch is shared out evenly, so a token's expert depends on what the tokens after it like.")


class Base(RouterOptions):
    facts = Facts(
        chooser="batch",
        title="BASE",
        year=2021,
        paper="Lewis et al., BASE Layers: Simplifying Training of Large, Sparse Models, arXiv:2103.16716",
        idea=N_(
            "In training, the assignment with the highest total score in which every expert gets equally many tokens."
        ),
        formula=r"\max_{\pi}\sum_t (x_tW_g)_{\pi(t)}\ \text{with}\ |\{t:\pi(t)=i\}|\le\lceil T/E\rceil,\quad "
        r"\alpha_t=\sigma\big((x_tW_g)_{\pi(t)}\big),\quad y_t=\alpha_t f_{\pi(t)}(x_t)+(1-\alpha_t)x_t",
        used_by="fairseq",
        cost=N_("One expert per token, and an assignment problem per layer and step, solved on the host."),
        fails=N_(
            "Trains with even groups but predicts without them; a token's expert depends on the whole batch, its future included."
        ),
        fixed_load=True,
    )
    name: Literal["base"] = "base"

    def looks_ahead(self, n_experts: int) -> str:
        return SHARED_OUT if n_experts > 1 else ""

    mix: Literal["convex", "gate"] = Knob(
        "convex",
        live=True,
        title=N_("Mixing"),
        help=N_(
            "What the gate does: mix the expert's output with the token itself (the released code), or only scale the output (the paper, with its residual path around the layer)."
        ),
    )


class Sinkhorn(TokenChoice):
    facts = Facts(
        chooser="batch",
        title="S-BASE (Sinkhorn)",
        year=2022,
        paper="Clark et al., Unified Scaling Laws for Routed Language Models, arXiv:2202.01169",
        idea=N_("In training, scores are balanced by entropic optimal transport before each token picks its experts."),
        formula=r"\Pi=\mathrm{diag}(u)\,e^{XW_g/\tau}\,\mathrm{diag}(v),\ \Pi\mathbf 1=\mathbf 1,\ \Pi^{\top}\mathbf 1=\tfrac TE\mathbf 1,"
        r"\quad S_t=\mathrm{top}_k(\Pi_t),\quad w_{ti}=\mathrm{softmax}(x_tW_g)_i",
        used_by="Megatron-LM (an option)",
        cost=N_("k experts per token, and a few passes over the scores."),
        fails=N_("Nearly even, not exactly; a token's expert depends on the whole batch in training."),
    )
    name: Literal["sinkhorn"] = "sinkhorn"

    def looks_ahead(self, n_experts: int) -> str:
        return SHARED_OUT if self.k < n_experts else ""

    k: int = k_knob(1)
    gate: Literal["softmax", "sigmoid"] = Knob(
        "softmax",
        live=True,
        title=N_("Gate"),
        help=N_("How the raw score of the chosen expert becomes its weight. Megatron uses a sigmoid at k = 1."),
    )
    temperature: float = Knob(
        1.0,
        ge=0.01,
        le=100,
        live=True,
        title=N_("Temperature"),
        help=N_("Of the transport plan. Lower follows the scores more closely and needs more iterations to balance."),
    )
    iterations: int = Knob(
        32,
        ge=1,
        le=200,
        live=True,
        stops=[1, 2, 4, 8, 16, 32, 64],
        title=N_("Iterations"),
        help=N_("Most times that rows and columns are normalised in turn."),
    )
    tolerance: float = Knob(
        0.0,
        ge=0,
        le=1,
        live=True,
        stops=[0.0, 1e-4, 1e-3, 1e-2],
        title=N_("Tolerance"),
        help=N_("Stop early when no expert's share is further than this from even, relatively. 0: never stop early."),
    )
